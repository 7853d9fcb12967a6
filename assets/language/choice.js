const show = () => {
  for (const button of element.querySelectorAll("[data-language]")) {
    const isChosen = button.dataset.language === window.sightline.language;
    button.setAttribute("aria-pressed", isChosen);
  }
};

element.addEventListener("click", async (event) => {
  const language = event.target.closest("[data-language]")?.dataset.language;
  if (!language || language === window.sightline.language) return;
  await window.sightline.choose(language);
  show();
  trigger("choose");
});

show();
