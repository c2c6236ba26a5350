import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { fault } from "../../core/errors.js";
const UNPRIVILEGED = ["nobody", "daemon", "www-data"];
/** Undefined: the server runs as whoever we are. */
export async function account() {
    if (process.getuid?.() !== 0)
        return undefined;
    const entries = new Map();
    for (const line of (await readFile("/etc/passwd", "utf8")).split("\n")) {
        const [name = "", , uid = "", gid = ""] = line.split(":");
        entries.set(name, { uid: Number(uid), gid: Number(gid) });
    }
    for (const name of UNPRIVILEGED) {
        const found = entries.get(name);
        if (found !== undefined && found.uid > 0)
            return found;
    }
    throw fault("NT_EMBEDDED_START", {
        expected: `an unprivileged user (${UNPRIVILEGED.join(", ")}) for PostgreSQL, which refuses to run as root`,
        got: "root alone in /etc/passwd",
    });
}
/** Whether an account that owns nothing here may walk down to a folder: every parent must let others pass. */
export async function canReach(folder) {
    for (let at = folder;; at = path.dirname(at)) {
        if (((await stat(at)).mode & 0o001) === 0)
            return false;
        if (at === path.dirname(at))
            return true;
    }
}
//# sourceMappingURL=account.js.map