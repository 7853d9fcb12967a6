// Looks at the status again and again, but not while nobody sees the page.

const { intervals } = props;
let timer = 0;

const isReady = () => element.querySelector(".light")?.classList.contains("ready");

const plan = () => {
  clearTimeout(timer);
  timer = setTimeout(look, isReady() ? intervals.ready : intervals.loading);
};

const look = () => {
  if (!element.isConnected) return;
  if (!document.hidden) trigger("look");
  plan();
};

document.addEventListener("visibilitychange", () => document.hidden || look());
watch("value", () => {
  plan();
  document.dispatchEvent(new Event("sightline:status"));
});
look();
