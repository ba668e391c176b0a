// Times in the viewer's zone.
const language = document.documentElement.lang;
const exact = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const forms = {
  moment: new Intl.DateTimeFormat(language, {
    hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23",
  }),
  second: new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23" }),
  time: new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
  day: new Intl.DateTimeFormat(language, { month: "2-digit", day: "2-digit" }),
};

export function times(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = exact.format(new Date(time.dateTime));
  }
  for (const label of root.querySelectorAll("[data-at][data-as]")) {
    label.textContent = forms[label.dataset.as].format(new Date(label.dataset.at * 1000));
  }
}
