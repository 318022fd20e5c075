// JSON for the store's columns. NaN and infinities, which a diverged run measures and JSON turns into null, survive.

/** `NaN` → `{ "$number": "NaN" }`. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, inner) =>
    typeof inner === "number" && !Number.isFinite(inner) ? { $number: String(inner) } : inner,
  );
}

export function fromJson<T>(text: string): T {
  return JSON.parse(text, (_, inner) => {
    const isNumber = typeof inner === "object" && inner !== null && typeof inner.$number === "string";
    return isNumber ? Number(inner.$number) : inner;
  });
}
