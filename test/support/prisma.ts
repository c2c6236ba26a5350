import path from "node:path";
import { pathToFileURL } from "node:url";

const load = (file: string): Promise<any> => import(pathToFileURL(path.resolve("compat/prisma", file)).href);

/** Prisma as compat/prisma has it: installed apart, so its types may not be there when the tests are checked. */
export async function prisma() {
  const { PrismaClient, Prisma } = await load("generated/client.ts");
  const { PrismaPg } = await load("node_modules/@prisma/adapter-pg/dist/index.mjs");
  const open = (url: string) => new PrismaClient({ adapter: new PrismaPg({ connectionString: url, max: 2 }) });
  return { PrismaClient, Prisma, PrismaPg, open };
}
