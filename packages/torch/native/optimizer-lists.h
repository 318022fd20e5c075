// An optimizer's step over whole lists of tensors at once, in a few kernels: see optimizer-lists.cc.
#pragma once

#include "native.h"

#include <vector>

namespace stopgrad {

struct Adam {
  double learningRate, beta1, beta2, epsilon, weightDecay;
  bool decoupled, maximize;
};

struct Sgd {
  double learningRate, momentum, dampening, weightDecay;
  bool nesterov, maximize;
};

/**
 * A parameter that takes part in a step: its gradient, its state (undefined where the optimizer keeps none of the kind)
 * and the steps it will have taken.
 */
struct Stepped {
  at::Tensor parameter, gradient;
  std::vector<at::Tensor> state;
  double step;
};

/**
 * Whether the step is best taken with others as a list: a dense floating tensor on a CUDA device, gradient and state of
 * its type. A gradient in another layout than the parameter's is copied into that first.
 */
bool listable(Stepped& one);

/** Steps all of `listed`, each of which is `listable`. State of Adam: mean, square, largest. Runs under NoGradGuard. */
void stepLists(const std::vector<Stepped>& listed, const Adam& options);
/** As above; state: the momentum, undefined when that is 0. */
void stepLists(const std::vector<Stepped>& listed, const Sgd& options);

}  // namespace stopgrad
