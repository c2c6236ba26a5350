import { isFault } from "../core/errors.js";
import { arrival } from "./arrival.js";
import { rawRequest, readBody, refuseUnread, storedHeaders } from "./request.js";
/**
 * Where one provider's messages come in.
 *
 * Guarantee: a 2xx is answered only after the COMMIT that holds the message and its deliveries. Whatever goes wrong
 * before that is answered 503 with Retry-After, and the sender's next copy is taken or recognised by its key.
 */
export class Inbox {
    name;
    source;
    #host;
    #limitBytes;
    #tenant;
    constructor(host, name, source, options) {
        this.#host = host;
        this.name = name;
        this.source = source;
        this.#limitBytes = options.bodyLimitBytes;
        this.#tenant = options.tenant;
    }
    on(topic, optionsOrHandler, handler) {
        if (typeof optionsOrHandler === "function")
            this.#host.register(this.name, topic, {}, optionsOrHandler);
        else
            this.#host.register(this.name, topic, optionsOrHandler, handler);
        return this;
    }
    /** accept: verify, dedupe, persist, acknowledge. Never throws. */
    receiveRaw = async (request) => {
        try {
            const unread = refuseUnread(request, this.#limitBytes);
            if (unread !== undefined)
                return this.#refuse(unread);
            const body = await readBody(request.body, this.#limitBytes);
            if (!(body instanceof Uint8Array))
                return this.#refuse(body);
            const verdict = this.source.verify({ headers: request.headers, body, nowMs: this.#host.clock.now() });
            if (!verdict.ok)
                return this.#refuse(verdict);
            const accepted = await this.#host.accept(arrival({
                tenant: request.tenant ?? "",
                source: this.name,
                key: verdict.key,
                topic: verdict.topic,
                headers: storedHeaders(request.headers),
                body,
                comparable: this.source.comparable(body),
                ...(this.source.proves === "body" ? { onReplay: this.source.onSuspectedReplay } : {}),
            }, this.#host.clock, this.#host.random));
            return this.#acknowledge(accepted);
        }
        catch (error) {
            return this.#failure(error);
        }
    };
    /** Takes a Web request; bound, so that it can be exported as a route. */
    receive = Object.assign(async (request) => {
        let raw;
        try {
            const tenant = this.#tenant?.(request);
            raw = await this.receiveRaw({ ...rawRequest(request), ...(tenant === undefined ? {} : { tenant }) });
        }
        catch (error) {
            raw = this.#failure(error);
        }
        return new Response(raw.body, { status: raw.status, headers: raw.headers });
    }, { raw: (request) => this.receiveRaw(request) });
    #acknowledge(accepted) {
        switch (accepted.kind) {
            case "accepted":
                return answer(this.source.acceptedStatus, `{"status":"accepted","id":"${accepted.id}"}`);
            case "duplicate":
                return answer(200, `{"status":"duplicate","id":"${accepted.id}"}`);
            case "conflict":
                return answer(this.source.conflictStatus, `{"status":"conflict","id":"${accepted.id}"}`);
            case "replayed":
                this.#host.countRefusal(this.name, "replayed-body");
                return answer(409, `{"status":"refused","reason":"replayed-body","id":"${accepted.id}"}`);
        }
    }
    #refuse(refused) {
        this.#host.countRefusal(this.name, refused.reason);
        const response = answer(refused.status, JSON.stringify({ status: "refused", reason: refused.reason, detail: refused.detail }));
        if (refused.status === 405)
            return { ...response, headers: { ...response.headers, allow: "POST" } };
        // The rest of a body that is too large is not read: the connection cannot be used again.
        if (refused.status === 413)
            return { ...response, headers: { ...response.headers, connection: "close" } };
        return response;
    }
    #failure(error) {
        this.#host.logger.error({ source: this.name, error }, "message not accepted");
        if (isFault(error, "NT_BODY_PARSED")) {
            return answer(500, JSON.stringify({ status: "error", code: error.code, next: error.next }));
        }
        const response = answer(503, `{"status":"unavailable","next":"Send it again; nothing was acknowledged."}`);
        return { ...response, headers: { ...response.headers, "retry-after": "5" } };
    }
}
const JSON_HEADERS = { "content-type": "application/json" };
function answer(status, body) {
    return { status, headers: JSON_HEADERS, body };
}
//# sourceMappingURL=inbox.js.map