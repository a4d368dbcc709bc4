// Sort a table by a click on its header: numbers as numbers, what is missing always last.
for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => {
  const th = button.parentElement, body = th.closest("table").tBodies[0], up = th.getAttribute("aria-sort") !== "ascending";
  for (const other of th.parentElement.children) other.removeAttribute("aria-sort");
  th.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = row => row.cells[th.cellIndex].dataset.sort;
  const order = (a, b) => a !== "" && b !== "" && !isNaN(a) && !isNaN(b) ? a - b : a.localeCompare(b, undefined, { numeric: true });
  const rows = [...body.rows].sort((p, q) => {
    const a = key(p), b = key(q);
    return (a === "") - (b === "") || (up ? 1 : -1) * order(a, b);
  });
  body.append(...rows);
});
// Copy the methods text; pages opened from disk may not use the clipboard, so the selection is the way back.
for (const button of document.querySelectorAll("button.copy")) button.addEventListener("click", async () => {
  const text = document.getElementById(button.dataset.copy);
  try { await navigator.clipboard.writeText(text.innerText); } catch {
    getSelection().selectAllChildren(text);
    document.execCommand("copy");
  }
  button.textContent = "Copied";
});
