// Before anything is painted: the theme this browser chose. Without a choice the system decides.
(() => {
  const chosen = localStorage.getItem("grantkeeper.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();

// A module that does not come (a throttled function, a dropped line) stops the page before it can say so: one more
// try by itself, then a sentence. main.js takes the mark away when it runs.
addEventListener("error", (event) => {
  if (event.target?.tagName !== "SCRIPT") return;
  const mark = "grantkeeper.tried";
  if (sessionStorage.getItem(mark) === null) {
    sessionStorage.setItem(mark, "1");
    setTimeout(() => location.reload(), 1000);
    return;
  }
  sessionStorage.removeItem(mark);
  document.querySelector("#app p").textContent = "The console could not be loaded. Reload the page in a moment.";
}, true);
