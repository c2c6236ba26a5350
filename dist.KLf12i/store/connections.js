import { fault } from "../core/errors.js";
/**
 * Connections of one pool. A client whose statement failed for want of a connection, or whose cached plan was broken by
 * DDL (0A000), is destroyed, never handed on. Every client in use has an `error` listener: a server that is killed
 * must not end the process.
 */
export class Connections {
    pool;
    #place;
    #placed = new Map();
    #names;
    constructor(pool, schema, logger, prepared) {
        this.pool = pool;
        this.#names = prepared ? new Map() : undefined;
        pool.on("error", (error) => logger.warn({ error }, "idle connection lost"));
        const quoted = `"${schema.replaceAll('"', '""')}"`;
        this.#place = (text) => text.replace(/(?<!['\w])nevertwice\./g, () => `${quoted}.`);
    }
    /** The statement with the schema's quoted name in it: the only thing ever put into a statement. */
    placed(text) {
        let placed = this.#placed.get(text);
        if (placed === undefined) {
            placed = this.#place(text);
            this.#placed.set(text, placed);
        }
        return placed;
    }
    /**
     * The name of a prepared statement, where the connections are our own from end to end: a transaction pooler would lose
     * it. Statements that are made anew each time would fill the server's memory, so only the first ones get names.
     */
    named(text) {
        if (this.#names === undefined)
            return undefined;
        let name = this.#names.get(text);
        if (name === undefined) {
            if (this.#names.size >= MOST_PREPARED)
                return undefined;
            this.#names.set(text, (name = `nevertwice_${this.#names.size}`));
        }
        return { name };
    }
    async connect() {
        try {
            const client = await this.pool.connect();
            client.on("error", ignore);
            return client;
        }
        catch (cause) {
            throw fault("NT_DATABASE_AWAY", { got: cause instanceof Error ? cause.message : String(cause), cause });
        }
    }
    release(client, destroy = false) {
        client.removeListener("error", ignore);
        // A destroyed client may still report the loss of its connection.
        if (destroy)
            client.on("error", ignore);
        client.release(destroy);
    }
    /** One statement in a transaction of its own. */
    async run(text, values = []) {
        const client = await this.connect();
        let broken = true;
        try {
            const result = await client.query({ text: this.placed(text), values: [...values], queryMode: "extended" });
            broken = false;
            return { rows: result.rows, rowCount: result.rowCount };
        }
        catch (error) {
            broken = isBroken(error);
            throw error;
        }
        finally {
            this.release(client, broken);
        }
    }
}
const MOST_PREPARED = 200;
function ignore() { }
/** Whether the connection that gave this error can be used again. */
export function isBroken(error) {
    const code = error?.code;
    if (typeof code !== "string" || !/^(?=.*\d)[0-9A-Z]{5}$/.test(code))
        return true;
    return code === "0A000" || /^(?:08|57P|25P0[34]|XX)/.test(code);
}
//# sourceMappingURL=connections.js.map