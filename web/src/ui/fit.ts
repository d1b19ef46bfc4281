/** How many rows of a list fit where its height is given, and how many to show where it is not. */

const FREE_COUNT = 8;
const COUNT_MAX = 40;

export interface Fit {
  count(): number;
  dispose(): void;
}

/**
 * The style sheet says what holds now: `--fit: 1` on the list gives it the
 * height that is left on the screen, and `--row` is the height of a row.
 */
export function rowsThatFit(list: HTMLElement, onChange: () => void): Fit {
  let count = FREE_COUNT;
  const measure = () => {
    const style = getComputedStyle(list);
    const isFitted = style.getPropertyValue('--fit').trim() === '1';
    const row = Number.parseFloat(style.getPropertyValue('--row')) * Number.parseFloat(style.fontSize);
    const fitting = row > 0 ? Math.floor((list.clientHeight + 1) / row) : FREE_COUNT;
    const next = isFitted ? Math.min(COUNT_MAX, Math.max(3, fitting)) : FREE_COUNT;
    if (next === count) return;
    count = next;
    onChange();
  };
  // Not inside the notification: the list may change its own height by it.
  const observer = new ResizeObserver(() => requestAnimationFrame(measure));
  observer.observe(list);
  return { count: () => count, dispose: () => observer.disconnect() };
}
