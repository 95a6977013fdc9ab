// Review: j and k go to the next and the last pair, 1, 2 and 3 decide; never while somebody types.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest("input, textarea, select, [contenteditable], dialog")) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (target === null || document.querySelector("dialog[open]") !== null) return;
  event.preventDefault();
  target.click();
});
