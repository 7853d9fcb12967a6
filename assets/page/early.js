// Before anything is drawn: the theme that was chosen in this browser, if one was.

const root = document.documentElement;
let chosen = new URL(location.href).searchParams.get("__theme");
try {
  chosen ??= localStorage.getItem("sightline.theme");
} catch {
  // a browser that keeps nothing follows the system
}
root.style.colorScheme = "light dark";
if (chosen === "dark" || chosen === "light") {
  root.style.colorScheme = chosen;
  // Gradio's own colours until its styles are there
  const [wanted, other] = chosen === "dark" ? ["-dark", ""] : ["", "-dark"];
  for (const name of ["--bg", "--col"]) root.style.setProperty(name + other, `var(${name}${wanted})`);
  // its element reads the attribute once, when its program runs, which is after the whole document
  document.addEventListener("readystatechange", () =>
    document.querySelector("gradio-app")?.setAttribute("theme_mode", chosen), { once: true });
}
