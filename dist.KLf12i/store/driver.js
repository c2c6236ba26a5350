/** What `send` hands to the driver before it first waits leaves in one write, where the driver lets us. */
export function inOneWrite(client, send) {
    const stream = client.connection?.stream;
    stream?.cork?.();
    try {
        return send();
    }
    finally {
        stream?.uncork?.();
    }
}
//# sourceMappingURL=driver.js.map