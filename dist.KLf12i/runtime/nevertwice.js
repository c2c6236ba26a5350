import { randomUUID } from "node:crypto";
import { defaults } from "../core/defaults.js";
import { checkOptions, fault } from "../core/errors.js";
import { checkName, OWN } from "../core/topic.js";
import { arrival, ownParcel } from "./arrival.js";
import { consumer } from "./consumer.js";
import { GroupCommit } from "./group-commit.js";
import { Hints } from "./hints.js";
import { Inbox } from "./inbox.js";
import { Refusals } from "./refusals.js";
import { consoleLogger, systemClock, systemRandom } from "./system.js";
import { Worker } from "./worker.js";
const OPTIONS = [
    "database", "schema", "migrate", "preparedStatements", "logger", "clock", "random", "leaseMs", "dedupeDays", "retainDays",
];
/**
 * Receives, processes and sends messages so that none is lost and none takes effect twice.
 *
 * Guarantee: docs/guarantees.md. Constructing does no I/O; the database is opened at first use.
 * Throws NT_OPTION for an option it does not know, and NT_DATABASE_MISSING at first use.
 */
export class Runtime {
    /** The name of the schema that holds the tables. */
    schema;
    dedupeDays;
    inboxes = new Map();
    consumers = new Map();
    #options;
    #open;
    #clock;
    #random;
    #logger;
    #name = `${process.pid}-${randomUUID().slice(0, 8)}`;
    #accepts;
    #refusals;
    #hints;
    #store;
    #opened;
    #undeclared = true;
    #declaring;
    #worker;
    #unlisten;
    #cancelTidy;
    #stopped = false;
    constructor(options, open) {
        checkOptions("new Nevertwice()", options, OPTIONS);
        this.#options = options;
        this.#open = open;
        this.schema = options.schema ?? defaults.schema;
        this.dedupeDays = options.dedupeDays ?? defaults.dedupeDays;
        this.#clock = options.clock ?? systemClock;
        this.#random = options.random ?? systemRandom;
        this.#logger = options.logger ?? consoleLogger;
        this.#accepts = new GroupCommit(async (arrivals) => (await this.ready()).accept(arrivals), {
            most: defaults.acceptBatch,
            flushes: defaults.acceptConnections,
        });
        this.#refusals = new Refusals(async (counts) => (await this.ready()).countRefusals(counts), this.#clock);
        this.#hints = new Hints(async () => this.#opened?.hint(), this.#clock);
    }
    /**
     * A place where one provider's messages come in; `name` is the source of its messages.
     * Throws NT_OPTION when the name is taken.
     */
    inbox(name, source, options = {}) {
        checkName("inbox name", name);
        checkOptions("inbox()", options, ["bodyLimitBytes", "tenant"]);
        if (name === OWN || this.inboxes.has(name)) {
            throw fault("NT_OPTION", { expected: "an inbox name that is free", got: `\`${name}\`` });
        }
        const host = {
            clock: this.#clock,
            random: this.#random,
            logger: this.#logger,
            accept: (one) => this.#accept(one),
            countRefusal: (from, reason) => this.#refusals.count(from, reason),
            register: (from, topic, given, handler) => this.#register(from, topic, given, handler),
        };
        const inbox = new Inbox(host, name, source, {
            bodyLimitBytes: options.bodyLimitBytes ?? defaults.bodyLimitBytes,
            tenant: options.tenant,
        });
        this.inboxes.set(name, inbox);
        return inbox;
    }
    on(topic, optionsOrHandler, handler) {
        if (typeof optionsOrHandler === "function")
            this.#register(OWN, topic, {}, optionsOrHandler);
        else
            this.#register(OWN, topic, optionsOrHandler, handler);
        return this;
    }
    /**
     * Sends to a topic of our own. Resolves after the COMMIT that holds the message and its deliveries; with a `key`, a
     * second call within the dedupe window is absorbed. Throws NT_PAYLOAD, NT_OPTION, and NT_ACCEPT_UNKNOWN.
     */
    async send(topic, payload, options = {}) {
        checkOptions("send()", options, ["key", "delayMs", "tenant"]);
        return this.#sendOne(arrival(ownParcel(topic, payload, options), this.#clock, this.#random));
    }
    /** Sends many; they share their commits. The answers are in the order of the messages. */
    async sendMany(messages) {
        const arrivals = messages.map(({ topic, payload, ...options }) => arrival(ownParcel(topic, payload, options), this.#clock, this.#random));
        return Promise.all(arrivals.map((one) => this.#sendOne(one)));
    }
    /** Opens the database, brings the schema up to date as `migrate` says, and declares the consumers. */
    async ready() {
        if (this.#stopped)
            throw fault("NT_NOT_STARTED", { got: "a call after stop()" });
        this.#store ??= this.#connect();
        let store;
        try {
            store = await this.#store;
        }
        catch (error) {
            // The next call tries again: a database that was away at start must not take the process with it.
            this.#store = undefined;
            throw error;
        }
        if (this.#undeclared)
            await (this.#declaring ??= this.#declare(store).finally(() => (this.#declaring = undefined)));
        return store;
    }
    /** Begins to work on what is due for the consumers declared so far. */
    async start() {
        const store = await this.ready();
        if (this.#worker !== undefined)
            return;
        const host = {
            store,
            clock: this.#clock,
            random: this.#random,
            logger: this.#logger,
            worker: this.#name,
            leaseMs: this.#options.leaseMs ?? defaults.leaseMs,
            hint: () => this.#hint(),
        };
        const worker = new Worker(host, [...this.consumers.values()]);
        this.#worker = worker;
        this.#unlisten = await store.listen(() => worker.wake());
        worker.start();
        this.#tidy(store, 1_000);
    }
    /**
     * Stops gracefully: claims no more, lets running handlers end until the deadline, gives back the rest, closes the
     * database. Handlers that do not end in time are rolled back and run elsewhere.
     */
    async stop(options = {}) {
        if (this.#stopped)
            return;
        this.#cancelTidy?.();
        await this.#unlisten?.();
        await this.#worker?.stop(options.deadlineMs ?? defaults.stopDeadlineMs);
        await this.#accepts.drained();
        if (this.#opened !== undefined)
            await this.#refusals.flush();
        this.#stopped = true;
        const store = await this.#store?.catch(() => undefined);
        await store?.close();
    }
    /** Whether this process can do its work now: the database answers, and the worker, where there is one, goes round. */
    async readiness() {
        const worker = this.#worker === undefined ? "none" : this.#worker.stuck ? "stands still" : "works";
        let cancel = () => { };
        const late = new Promise((_, reject) => {
            cancel = this.#clock.after(2_000, () => reject(fault("NT_DATABASE_AWAY", { got: "no answer for 2 s" })));
        });
        try {
            await Promise.race([this.ready().then((store) => store.inspect()), late]);
            return { ready: worker !== "stands still", database: "answers", worker };
        }
        catch {
            return { ready: false, database: "away", worker };
        }
        finally {
            cancel();
        }
    }
    async #connect() {
        const given = typeof this.#options.database === "function" ? this.#options.database() : this.#options.database;
        if (given === undefined || given === "")
            throw fault("NT_DATABASE_MISSING", { got: String(given) });
        const { preparedStatements } = this.#options;
        const store = isStore(given)
            ? given
            : await this.#open(given, {
                schema: this.schema,
                logger: this.#logger,
                ...(preparedStatements === undefined ? {} : { preparedStatements }),
            });
        try {
            const durability = await store.inspect();
            if (durability.fsync !== "on" || durability.synchronousCommit === "off") {
                this.#logger.warn(durability, "this server can lose what it has committed");
            }
            await store.migrate(this.#options.migrate ?? (process.env["NODE_ENV"] === "production" ? "check" : "auto"));
        }
        catch (error) {
            if (!isStore(given))
                await store.close();
            throw error;
        }
        this.#opened = store;
        return store;
    }
    async #declare(store) {
        this.#undeclared = false;
        try {
            await store.declare([...this.consumers.values()]);
        }
        catch (error) {
            this.#undeclared = true;
            throw error;
        }
    }
    async #accept(one) {
        const accepted = await this.#accepts.add(one);
        if (accepted.kind !== "accepted") {
            // Offered again under the same id after an unknown COMMIT, it finds itself.
            if (accepted.id !== one.id)
                return accepted;
            this.#hint();
            return { kind: "accepted", id: one.id };
        }
        this.#hint();
        return accepted;
    }
    async #sendOne(one) {
        for (let tries = 1;; tries++) {
            try {
                const accepted = await this.#accept(one);
                return { id: accepted.id, kind: accepted.kind === "replayed" ? "duplicate" : accepted.kind };
            }
            catch (cause) {
                if (tries < 3)
                    continue;
                throw fault("NT_ACCEPT_UNKNOWN", {
                    got: cause instanceof Error ? cause.message : String(cause),
                    next: one.key === one.id ? "It may have been accepted; send with a `key` to repeat it safely." : "Send it again under the same key.",
                    cause,
                });
            }
        }
    }
    #hint() {
        this.#worker?.wake();
        this.#hints.give();
    }
    #register(source, topic, options, handler) {
        const declared = consumer(source, topic, options, handler);
        if (this.consumers.has(declared.name) && process.env["NODE_ENV"] !== "development") {
            throw fault("NT_CONSUMER_TWICE", { got: `\`${declared.name}\` twice` });
        }
        if (this.#worker !== undefined) {
            throw fault("NT_OPTION", { expected: "consumers declared before start()", got: `\`${declared.name}\` after it` });
        }
        this.consumers.set(declared.name, declared);
        this.#undeclared = true;
    }
    /** Housekeeping in small pieces, at moments that differ between processes. */
    #tidy(store, afterMs) {
        this.#cancelTidy = this.#clock.after(afterMs, () => {
            const retainDays = Math.max(this.#options.retainDays ?? defaults.retainDays, this.dedupeDays);
            // Declared again at each round, so that `doctor` can tell a consumer that no code declares any more.
            void store
                .declare([...this.consumers.values()])
                .then(() => store.tidy({ dedupeDays: this.dedupeDays, retainDays }))
                .catch((error) => this.#logger.warn({ error }, "housekeeping failed"))
                .then(() => {
                if (!this.#stopped)
                    this.#tidy(store, 60_000 * (0.5 + this.#random.fraction()));
            });
        });
    }
}
function isStore(given) {
    return typeof given === "object" && "takeOver" in given;
}
//# sourceMappingURL=nevertwice.js.map