// What the estimators of mutual information are called, without the estimators: what a command's help lists at once.
export const estimatorNames = ["mine", "info-nce", "ksg", "binning", "label-bound"] as const;
export type EstimatorName = (typeof estimatorNames)[number];
