/**
 * The migrations' text. Here it is read from the folder beside; the build puts a module in the place of this one that holds it, so
 * that what a bundler makes of the package (Next.js, a function of one file) has it too.
 */
import { readdir, readFile } from "node:fs/promises";

const FOLDER = new URL("./migrations/", import.meta.url);

/** Name and text of each file, in their order. */
export async function migrationFiles(): Promise<readonly (readonly [file: string, text: string])[]> {
  const files = (await readdir(FOLDER)).filter((file) => /^\d{4}_\w+\.sql$/.test(file)).sort();
  return Promise.all(files.map(async (file) => [file, await readFile(new URL(file, FOLDER), "utf8")] as const));
}
