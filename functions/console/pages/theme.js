// Before anything is painted: the theme this browser chose. Without a choice the system decides.
(() => {
  const chosen = localStorage.getItem("grantkeeper.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
