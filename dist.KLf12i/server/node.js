import { fault, isFault } from "../core/errors.js";
/**
 * Adapts an inbox (or any Web handler) to Node's http server, Express, and whatever hands on `req` and `res`.
 * Mount it before any body parser; a parser that kept the bytes (`express.raw()`) is fine. A parser that did not is
 * answered 500 with NT_BODY_PARSED, which says how to mount it: nothing is lost, the sender comes again. Never throws.
 *
 * @example app.post("/hooks/stripe", toNode(payments.receive));
 */
export function toNode(handler) {
    return (req, res) => {
        const answered = "raw" in handler ? raw(handler.raw, req, res) : web(handler, req, res);
        answered.catch((error) => {
            const code = isFault(error) ? { code: error.code, next: error.next } : { next: "Send it again." };
            if (res.headersSent)
                res.destroy();
            else
                end(res, { status: 500, headers: JSON_TYPE, body: JSON.stringify({ status: "error", ...code }) });
        });
    };
}
const JSON_TYPE = { "content-type": "application/json" };
async function raw(receive, req, res) {
    const answer = await receive({ method: req.method ?? "GET", headers: headersOf(req.rawHeaders), body: bodyOf(req) });
    end(res, answer);
}
async function web(handler, req, res) {
    const headers = new Headers();
    for (const [name, values] of headersOf(req.rawHeaders))
        for (const value of values)
            headers.append(name, value);
    const bodiless = req.method === "GET" || req.method === "HEAD";
    const request = new Request(new URL(req.url ?? "/", `http://${req.headers.host ?? "localhost"}`), {
        method: req.method ?? "GET",
        headers,
        ...(bodiless ? {} : { body: ReadableStream.from(bodyOf(req)), duplex: "half" }),
    });
    const response = await handler(request);
    const body = Buffer.from(await response.arrayBuffer());
    end(res, { status: response.status, headers: Object.fromEntries(response.headers), body });
}
function end(res, answer) {
    res.writeHead(answer.status, { ...answer.headers, "content-length": Buffer.byteLength(answer.body) });
    res.end(answer.body);
}
/** Header lines as they came, by name in lower case. */
function headersOf(lines) {
    const headers = new Map();
    for (let i = 0; i + 1 < lines.length; i += 2) {
        const name = lines[i].toLowerCase();
        const value = lines[i + 1];
        const known = headers.get(name);
        if (known === undefined)
            headers.set(name, [value]);
        else
            known.push(value);
    }
    return headers;
}
/** The bytes, from the stream or from a parser that kept them. Throws NT_BODY_PARSED where they are gone. */
function bodyOf(req) {
    for (const kept of [req.rawBody, req.body])
        if (kept instanceof Uint8Array)
            return once(kept);
    if (req.readableDidRead || req.readableEnded) {
        throw fault("NT_BODY_PARSED", { got: `a request that was read already, as ${typeof req.body}` });
    }
    return req;
}
async function* once(bytes) {
    yield bytes;
}
//# sourceMappingURL=node.js.map