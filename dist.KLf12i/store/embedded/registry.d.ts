export declare function isAlive(pid: number): boolean;
/** Runs `work` while nobody else starts or stops this server. */
export declare function locked<Result>(home: string, work: () => Promise<Result>): Promise<Result>;
/** Registers one use by this process; the name to give back. */
export declare function register(home: string): Promise<string>;
/** Ends one use; whether anybody else is left. The marks of the dead are swept away. */
export declare function unregister(home: string, name: string): Promise<boolean>;
