/** Who runs the server. PostgreSQL refuses to be root, and wants a user with an entry in /etc/passwd. */
export interface Account {
    readonly uid: number;
    readonly gid: number;
}
/** Undefined: the server runs as whoever we are. */
export declare function account(): Promise<Account | undefined>;
/** Whether an account that owns nothing here may walk down to a folder: every parent must let others pass. */
export declare function canReach(folder: string): Promise<boolean>;
