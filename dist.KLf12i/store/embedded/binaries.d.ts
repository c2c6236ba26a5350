/** Where the binaries of one platform package are, and how they find their libraries. */
export interface Binaries {
    readonly native: string;
    readonly version: string;
    readonly environment: Record<string, string>;
}
/** The folder of the package: by name, or as it is given. */
export declare function findBinaries(packageName: string | undefined): Promise<{
    root: string;
    version: string;
}>;
/**
 * Makes the binaries runnable. Where npm ran no install scripts the links between library versions are missing: they
 * are made here; in an install that cannot be written to they are made in our own folder instead.
 */
export declare function prepareBinaries(root: string, version: string, home: string, copy: boolean): Promise<Binaries>;
