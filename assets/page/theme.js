// The button that changes between light and dark, and keeps that where it differs from the system.

const KEY = "sightline.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const button = element.querySelector("#theme");
const isDark = () => document.body.classList.contains("dark");

const read = () => {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
};

const apply = (theme) => {
  document.body.classList.toggle("dark", theme === "dark");
  const root = document.documentElement;
  root.style.colorScheme = theme;
  for (const name of ["--bg", "--bg-dark", "--col", "--col-dark"]) root.style.removeProperty(name);
  const [wanted, other] = theme === "dark" ? ["-dark", ""] : ["", "-dark"];
  for (const name of ["--bg", "--col"]) root.style.setProperty(name + other, `var(${name}${wanted})`);
};

button.addEventListener("click", () => {
  const wanted = isDark() ? "light" : "dark";
  try {
    if (wanted === (system.matches ? "dark" : "light")) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, wanted);
  } catch {
    // a browser that keeps nothing: it holds until the page is left
  }
  apply(wanted);
});
// after Gradio, which follows the system whatever was chosen
system.addEventListener("change", () => {
  const theme = read() ?? (system.matches ? "dark" : "light");
  setTimeout(() => element.isConnected && apply(theme));
});
