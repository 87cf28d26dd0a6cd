// A random generator with a seed, which repeats a failed run.
export function random(seed) {
  let state = seed;
  const below = (limit) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * limit);
  };
  const times = (n, make) => Array.from({ length: n }, (_, index) => make(index));
  const pick = (list) => list[below(list.length)];
  return { below, times, pick };
}
