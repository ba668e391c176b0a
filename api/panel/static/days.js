// What stands between messages of different days.
export function day(at) {
  const item = document.createElement("li");
  item.className = "day";
  const language = document.documentElement.lang;
  const away = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / 86400000);
  const near = new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(-away, "day");
  const exact = new Intl.DateTimeFormat(language, { dateStyle: "full" }).format(at);
  item.textContent = away < 2 ? near.charAt(0).toUpperCase() + near.slice(1) : exact;
  return item;
}
