// node SCRIPT SCENARIO URL KEY: runs one scenario, and prints what it returns as JSON.
export const [name, baseURL, apiKey] = process.argv.slice(2);
export const HI = [{ role: "user", content: "count to 3" }];

export async function run(scenarios) {
  process.stdout.write(JSON.stringify(await scenarios[name]()));
}

// What kind of error it was: each part as its SDK tells it.
export async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
