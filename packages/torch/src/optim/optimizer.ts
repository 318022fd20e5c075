// What optimizers share: groups of parameters with settings of their own, and state that can be saved and loaded.
import { noGrad } from "../autograd.js";
import { TorchError } from "../errors.js";
import { type Handle, native } from "../native.js";
import { tensor, zerosLike } from "../ops/creation.js";
import { scope } from "../scope.js";
import { Buffer, type Parameter, type Tensor } from "../tensor.js";

/** A setting of a group: a number, a switch, or two numbers. */
export type Setting = number | boolean | readonly [number, number];

/** Some parameters and settings that differ from the optimizer's for them. */
export type ParameterGroup<O> = { parameters: readonly Parameter[] } & Partial<O>;

/** What an optimizer is made for: parameters with common settings, or groups of them. */
export type Trained<O> = readonly Parameter[] | readonly ParameterGroup<O>[];

/** A group as an optimizer works with it. */
export class Group {
  /** Steps taken by each parameter; one without a gradient is passed over. */
  readonly steps: Float64Array<ArrayBuffer>;
  /** Per kind of state (PyTorch's names, such as `exp_avg`), a tensor for each parameter. */
  readonly state: Readonly<Record<string, readonly Buffer[]>>;
  readonly handles: readonly Handle[];
  readonly #stateHandles: Readonly<Record<string, readonly Handle[]>>;

  /** @param settings - may be changed between steps, as schedules do; read at each step */
  constructor(
    readonly parameters: readonly Parameter[],
    readonly settings: Record<string, Setting>,
    kinds: Readonly<Record<string, number>>,
  ) {
    this.steps = new Float64Array(parameters.length);
    this.handles = parameters.map(({ handle }) => handle);
    const state: Record<string, readonly Buffer[]> = {};
    for (const [kind, start] of Object.entries(kinds)) {
      state[kind] = noGrad(() => parameters.map((parameter) => bufferLike(parameter, start)));
    }
    this.state = state;
    this.#stateHandles = Object.fromEntries(
      Object.entries(state).map(([kind, buffers]) => [kind, buffers.map(({ handle }) => handle)]),
    );
  }

  get learningRate(): number {
    return this.settings.learningRate as number;
  }

  set learningRate(rate: number) {
    checkNonNegative("learningRate", rate);
    this.settings.learningRate = rate;
  }

  /** A setting that is a number. */
  number(name: string): number {
    return this.settings[name] as number;
  }

  /** A setting that is a switch. */
  flag(name: string): boolean {
    return this.settings[name] as boolean;
  }

  /** Handles of a kind of state for the native step; none where it is not kept. */
  handlesOf(kind: string): readonly Handle[] {
    return this.#stateHandles[kind] ?? [];
  }
}

/** PyTorch's names of settings, where another spelling than its case differs. */
const stateNames: Readonly<Record<string, string>> = {
  learningRate: "lr",
  epsilon: "eps",
  learningRateDecay: "lr_decay",
};

function stateName(setting: string): string {
  return stateNames[setting] ?? setting.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * The base of every optimizer: groups of parameters, a step for all that have a gradient, state that can be saved.
 *
 * A parameter without a gradient is passed over. Settings are read at each step and may be changed between steps.
 */
export abstract class Optimizer {
  readonly groups: readonly Group[];
  /** Every parameter, in the order of the groups, whose numbers a state dict uses. */
  readonly parameters: readonly Parameter[];

  /**
   * @param trained - parameters, or groups with settings of their own
   * @param defaults - settings of a group that does not say otherwise
   * @param kindsOf - the kinds of state that settings ask for, and the value each starts with
   * @throws TorchError for no parameters, one that comes twice, or an unknown setting
   */
  protected constructor(
    trained: readonly Parameter[] | readonly ({ parameters: readonly Parameter[] } & object)[],
    defaults: Readonly<Record<string, Setting>>,
    kindsOf: (settings: Readonly<Record<string, Setting>>) => Readonly<Record<string, number>>,
  ) {
    const given = trained.map((item) => (isGroup(item) ? item : null));
    const groups = given.every((group) => group === null)
      ? [{ parameters: trained as readonly Parameter[] }]
      : given.map((group, at) => {
          if (group) return group;
          throw new TorchError(`optimizer: expected only groups or only parameters, got a parameter as number ${at}`);
        });
    this.parameters = groups.flatMap(({ parameters }) => parameters);
    const { parameters } = this;
    if (parameters.length === 0) throw new TorchError("optimizer: expected at least one parameter, got none");
    const first = new Map<Parameter, number>();
    for (const [at, parameter] of parameters.entries()) {
      const before = first.get(parameter);
      if (before !== undefined) {
        throw new TorchError(`optimizer: expected every parameter once, got number ${before} again as number ${at}`);
      }
      first.set(parameter, at);
    }
    const resolved = groups.map(({ parameters: _, ...own }) => {
      const unknown = Object.keys(own).find((name) => !Object.hasOwn(defaults, name));
      if (unknown !== undefined) {
        throw new TorchError(`optimizer: unknown setting ${unknown} (known: ${Object.keys(defaults).join(", ")})`);
      }
      const settings: Record<string, Setting> = { ...defaults, ...defined(own) };
      checkNonNegative("learningRate", settings.learningRate as number);
      this.check(settings);
      return settings;
    });
    this.groups = groups.map((group, at) => new Group(group.parameters, resolved[at]!, kindsOf(resolved[at]!)));
  }

  /** Whether PyTorch's state dict of this optimizer holds `step`; ours always does. */
  protected readonly savesSteps: boolean = true;

  /** @throws TorchError for settings that make no sense */
  protected abstract check(settings: Readonly<Record<string, Setting>>): void;

  /** Moves a group's parameters that have a gradient: one native call. */
  protected abstract stepGroup(group: Group): void;

  /** Moves every parameter that has a gradient. */
  step(): void {
    for (const group of this.groups) this.stepGroup(group);
  }

  /** Of the first group; setting it sets every group's. May be changed between steps, as schedules do. */
  get learningRate(): number {
    return this.groups[0]!.learningRate;
  }

  set learningRate(rate: number) {
    for (const group of this.groups) group.learningRate = rate;
  }

  /**
   * Drops every gradient.
   * @param options.setToNone - false: makes them 0 instead, and an optimizer goes on with momentum and decay; default true
   */
  zeroGrad(options: { setToNone?: boolean } = {}): void {
    for (const group of this.groups) native().zeroGrad(group.handles, options.setToNone ?? true);
  }

  /**
   * State and settings in the layout of PyTorch's state dict, flat: `state.0.exp_avg` and so on by the parameter's
   * number, for parameters that took a step, `state.0.step` (float64 scalar) among them; `param_groups.0.params` (int64,
   * the group's numbers), `param_groups.0.lr`, `.betas` and so on (float64 or bool). State tensors are the optimizer's own,
   * not copies.
   */
  stateDict(): Map<string, Tensor> {
    const saved = new Map<string, Tensor>();
    let number = 0;
    for (const group of this.groups) {
      for (const [at, steps] of group.steps.entries()) {
        const prefix = `state.${number++}`;
        if (steps === 0) continue;
        saved.set(`${prefix}.step`, tensor(steps, { dtype: "float64" }));
        for (const [kind, buffers] of Object.entries(group.state)) saved.set(`${prefix}.${kind}`, buffers[at]!);
      }
    }
    number = 0;
    for (const [at, group] of this.groups.entries()) {
      const prefix = `param_groups.${at}`;
      for (const [name, value] of Object.entries(group.settings)) {
        const dtype = typeof value === "boolean" ? "bool" : "float64";
        saved.set(`${prefix}.${stateName(name)}`, tensor(value, { dtype }));
      }
      const numbers = group.parameters.map(() => number++);
      saved.set(`${prefix}.params`, tensor(numbers, { dtype: "int64" }));
    }
    return saved;
  }

  /**
   * Copies saved state and settings in: the next step is the one that would have followed.
   * @throws TorchError when groups or parameters are others, or a tensor is missing or of another shape; nothing is
   *   changed then
   */
  loadStateDict(saved: ReadonlyMap<string, Tensor>): void {
    const changes: (() => void)[] = [];
    const read = (name: string): Tensor | undefined => {
      const value = saved.get(name);
      if (value?.isDisposed) throw new TorchError(`optimizer: the saved ${name} was disposed`);
      return value;
    };
    const known = new Set<string>();
    let number = 0;
    for (const [at, group] of this.groups.entries()) {
      const prefix = `param_groups.${at}`;
      known.add(`${prefix}.params`);
      const numbers = read(`${prefix}.params`)?.toNumbers();
      if (numbers?.length !== group.parameters.length) {
        throw new TorchError(
          `optimizer: expected saved state for ${group.parameters.length} parameters in group ${at}, got ${numbers?.length ?? "none"}`,
        );
      }
      for (const name of Object.keys(group.settings)) {
        const key = `${prefix}.${stateName(name)}`;
        known.add(key);
        const value = read(key);
        if (!value) throw new TorchError(`optimizer: expected the saved setting ${key}, got none`);
        const [first, second] = value.toNumbers();
        const setting = group.settings[name]!;
        if (value.numel !== (typeof setting === "object" ? 2 : 1)) {
          throw new TorchError(
            `optimizer: expected the saved setting ${key} of another shape than [${value.shape.join(", ")}]`,
          );
        }
        changes.push(() => {
          group.settings[name] =
            typeof setting === "object" ? [first!, second!] : typeof setting === "boolean" ? first !== 0 : first!;
        });
      }
      for (const parameterAt of group.parameters.keys()) {
        const own = `state.${number++}`;
        const names = [`${own}.step`, ...Object.keys(group.state).map((kind) => `${own}.${kind}`)];
        for (const name of names) known.add(name);
        // A parameter that took no step has no saved state.
        const fresh = !names.some((name) => saved.has(name));
        const counted = this.savesSteps || saved.has(`${own}.step`);
        const steps = fresh ? 0 : !counted ? 1 : this.#savedSteps(read(`${own}.step`), own);
        changes.push(() => group.steps.fill(steps, parameterAt, parameterAt + 1));
        for (const [kind, buffers] of Object.entries(group.state)) {
          const buffer = buffers[parameterAt]!;
          const start = this.startOf(kind, group);
          if (fresh) {
            changes.push(() => buffer.fill_(start));
            continue;
          }
          const source = read(`${own}.${kind}`);
          if (!source || source.shape.join() !== buffer.shape.join()) {
            throw new TorchError(
              `optimizer: expected saved ${own}.${kind} [${buffer.shape.join(", ")}], got ${source ? `[${source.shape.join(", ")}]` : "none"}`,
            );
          }
          changes.push(() => buffer.copy_(source));
        }
      }
    }
    // Settings that are not known here, PyTorch's `foreach` for one, change nothing.
    const unexpected = [...saved.keys()].filter((name) => !known.has(name) && !/^param_groups\.\d+\./.test(name));
    for (const name of saved.keys()) {
      const group = /^param_groups\.(\d+)\./.exec(name)?.[1];
      if (group !== undefined && Number(group) >= this.groups.length) unexpected.push(name);
    }
    if (unexpected.length > 0) {
      throw new TorchError(`optimizer: the saved state does not fit: unexpected ${unexpected.join(", ")}`);
    }
    scope(() =>
      noGrad(() => {
        for (const change of changes) change();
      }),
    );
  }

  #savedSteps(value: Tensor | undefined, own: string): number {
    if (value?.numel !== 1) {
      throw new TorchError(
        `optimizer: expected saved ${own}.step [], got ${value ? `[${value.shape.join(", ")}]` : "none"}`,
      );
    }
    return value.item();
  }

  /** Value that a kind of state starts with. */
  protected startOf(_kind: string, _group: Group): number {
    return 0;
  }

  /** Frees the state, not the parameters. */
  dispose(): void {
    for (const { state } of this.groups) {
      for (const buffers of Object.values(state)) for (const buffer of buffers) buffer.dispose();
    }
  }
}

function isGroup(item: object): item is { parameters: readonly Parameter[] } {
  return "parameters" in item;
}

/** Without the settings that are undefined. */
function defined(settings: object): Record<string, Setting> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

function bufferLike(parameter: Parameter, start: number): Buffer {
  const value = zerosLike(parameter);
  if (start !== 0) value.fill_(start);
  const buffer = new Buffer(value);
  value.dispose();
  return buffer;
}

/** @throws TorchError unless `value` is a finite number of at least 0 */
export function checkNonNegative(name: string, value: unknown): void {
  if (!(typeof value === "number" && value >= 0 && Number.isFinite(value))) {
    throw new TorchError(`optimizer: expected ${name} of at least 0, got ${String(value)}`);
  }
}

/** @throws TorchError unless each of `names` is a finite number of at least 0 */
export function checkAllNonNegative(settings: Readonly<Record<string, Setting>>, ...names: string[]): void {
  for (const name of names) checkNonNegative(name, settings[name]);
}
