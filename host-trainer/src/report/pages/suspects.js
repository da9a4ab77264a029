"use strict";
// One case is a photograph under one label. What is chosen for it is kept in its `data-to`.
const cases = [...document.querySelectorAll("[data-label]")];
let now = 0;
let saved = true;

function go(to) {
  cases[now].classList.remove("now");
  now = Math.max(0, Math.min(cases.length - 1, to));
  cases[now].classList.add("now");
  cases[now].scrollIntoView({ block: "nearest" });
}

function choose(index, to) {
  cases[index].dataset.to = to;
  for (const button of cases[index].querySelectorAll("[data-class]")) {
    button.setAttribute("aria-pressed", button.dataset.class === to);
  }
  saved = false;
  const chosen = corrected();
  document.getElementById("count").textContent = `${chosen.length} of ${cases.length} get another label`;
}

function corrected() {
  return cases.filter((one) => one.dataset.to !== undefined && one.dataset.to !== one.dataset.label);
}

function quoted(cell) {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

// The file that `data labels --apply` takes.
function corrections() {
  const rows = corrected().flatMap((one) =>
    JSON.parse(one.dataset.paths).map((path) => [path, one.dataset.label, one.dataset.to]));
  return [["path", "label", "to"], ...rows].map((row) => row.map(quoted).join(",") + "\n").join("");
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([corrections()], { type: "text/csv" }));
  link.download = "corrections.csv";
  link.click();
  saved = true;
}

cases.forEach((one, index) => {
  one.addEventListener("click", () => go(index));
  for (const button of one.querySelectorAll("[data-class]")) {
    button.addEventListener("click", () => choose(index, button.dataset.class));
  }
  for (const list of one.querySelectorAll("select")) {
    list.addEventListener("change", () => choose(index, list.value));
  }
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT" || cases.length === 0) return;
  const button = cases[now].querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (button) {
    choose(now, button.dataset.class);
    go(now + 1);
  } else if (event.key === "ArrowDown") {
    go(now + 1);
  } else if (event.key === "ArrowUp") {
    go(now - 1);
  } else {
    return;
  }
  event.preventDefault();
});
window.addEventListener("beforeunload", (event) => {
  if (!saved && corrected().length > 0) event.preventDefault();
});
document.getElementById("download").addEventListener("click", download);
if (cases.length > 0) go(0);
