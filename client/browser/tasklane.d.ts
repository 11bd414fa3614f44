/**
 * Watches a user's events. The connection is opened after the code that is
 * running now, so listeners that are added at once miss nothing.
 * @param {Options} [options]
 * @returns {Watch}
 */
export function connect(options?: Options): Watch;
/**
 * @typedef {object} Options
 * @property {string | URL} [url] the notifier (http, https, ws or wss), with the path that it is served below; where this module came from if not given
 * @property {string} [userId] whose events; with a token it may be left out for the token's own user
 * @property {string} [taskId] only those of one task
 * @property {string} [batchId] only those of one batch
 * @property {string} [since] where to start: "now" (if not given), "earliest", a cursor, or a time such as 2026-01-31T09:30:00Z
 * @property {string} [token] the bearer token, if the notifier asks for one
 * @property {() => string | Promise<string>} [getToken] gives a token; asked again when the last one is no longer taken
 * @property {() => string | Promise<string>} [getTicket] gives a one-time ticket, for every connection another
 * @property {"auto" | "websocket" | "sse"} [transport] auto (if not given) takes server-sent events where WebSockets do not get through, and
 *   looks now and then whether they do again: over HTTP/1.1 a browser opens six streams to one host, and the seventh page waits for ever
 * @property {Pick<Storage, "getItem" | "setItem"> & Partial<Pick<Storage, "removeItem">>} [storage] keeps the cursor: a page that is loaded again goes on where it was. Take sessionStorage,
 *   which each tab has for itself. With localStorage two tabs that watch the same would take each other's cursor: give each its own storageKey
 * @property {string} [storageKey] the name it is kept under; made of what is watched if not given
 * @property {AbortSignal} [signal] closes the watch
 */
/**
 * @typedef {object} TaskEvent an event of a task; docs/TOPICS.md has all members
 * @property {"state" | "progress" | "output" | "usage" | "log" | "reset"} kind
 * @property {string} event_id
 * @property {string} task_id
 * @property {string} user_id
 * @property {"pending" | "running" | "completed" | "failed" | "timed_out" | "cancelled"} status
 * @property {number} attempt
 * @property {string} task the task's name
 * @property {string} message
 * @property {string} time
 * @property {string} cursor where to go on after this event
 * @property {any} [result]
 * @property {string} [error]
 * @property {string} [error_code]
 * @property {{ percent: number, current?: number, total?: number, unit?: string }} [progress]
 * @property {{ index: number, text: string, count?: number, data?: any[] }} [output] count pieces from index on, one if it is not there;
 *   data are the events of the provider's own stream
 * @property {Usage} [usage] one request's on a usage event, the task's total on its last one
 */
/**
 * @typedef {object} Usage what a model was asked for; input_tokens and output_tokens include everything, the others are parts of them
 * @property {string} model
 * @property {string} [provider]
 * @property {number} input_tokens
 * @property {number} [cached_tokens]
 * @property {number} [cache_write_tokens]
 * @property {number} output_tokens
 * @property {number} [reasoning_tokens]
 * @property {number} [cost_picodollars] in 1/1,000,000,000,000 US dollar; not there if it is unknown
 * @property {boolean} [estimated] the provider did not tell
 */
/**
 * @typedef {object} Hello what a notifier says first on every connection
 * @property {"hello"} kind
 * @property {string} cursor where the watch is
 * @property {boolean} recovered whether nothing is missing since the cursor that was asked for
 * @property {string} [reason] why something may be missing
 */
/**
 * @typedef {object} WatchEvents what listeners are told of
 * @property {TaskEvent} event every event
 * @property {TaskEvent} state
 * @property {TaskEvent} progress
 * @property {TaskEvent} output
 * @property {TaskEvent} usage
 * @property {TaskEvent} log
 * @property {TaskEvent} reset what the task has streamed so far is void: throw it away, another attempt begins
 * @property {Hello} open a connection is there
 * @property {string} gap events are gone from the history, and why
 * @property {WatchState} status
 * @property {WatchError | undefined} close the end, with the reason if it was for good
 */
/** @typedef {"connecting" | "open" | "waiting" | "resting" | "closed"} WatchState */
/** The end of a watch that does not come back. */
export class WatchError extends Error {
    /**
     * @param {string} message
     * @param {number} [code] the close code of the WebSocket, or 4000 and the status of HTTP
     */
    constructor(message: string, code?: number);
    code: number | undefined;
}
/**
 * A watch: an async iterable of events, and a place for listeners. It lives until
 * close is called, its signal aborts, the loop over it is left, or the notifier
 * refuses it for good.
 */
export class Watch {
    /** @param {Options} options */
    constructor(options: Options);
    /** Where the watch goes on: the cursor of the last event, or where it started. */
    get cursor(): string;
    /** "connecting", "open", "waiting" (to connect again), "resting" (until its loop has taken what waits) or "closed". */
    get state(): WatchState;
    /**
     * Adds a listener and returns a function that removes it. Types: "event" for
     * every event, a kind ("state", "progress", "output", "usage", "log", "reset") for those;
     * "open" with the notifier's hello, "gap" with the reason when events are gone
     * from the history, "status" with the state, "close" with a WatchError or
     * undefined.
     * @template {keyof WatchEvents} T
     * @param {T} type
     * @param {(value: WatchEvents[T]) => void} listener
     * @returns {() => void}
     */
    on<T extends keyof WatchEvents>(type: T, listener: (value: WatchEvents[T]) => void): () => void;
    /** Closes the watch. Events that wait for a loop are still given. */
    close(): void;
    /**
     * The events, for one loop. It ends when the watch is closed and throws a
     * WatchError if that was for good; leaving it closes the watch.
     * @returns {AsyncGenerator<TaskEvent, void, void>}
     */
    [Symbol.asyncIterator](): AsyncGenerator<TaskEvent, void, void>;
    #private;
}
export type Options = {
    /**
     * the notifier (http, https, ws or wss), with the path that it is served below; where this module came from if not given
     */
    url?: string | URL | undefined;
    /**
     * whose events; with a token it may be left out for the token's own user
     */
    userId?: string | undefined;
    /**
     * only those of one task
     */
    taskId?: string | undefined;
    /**
     * only those of one batch
     */
    batchId?: string | undefined;
    /**
     * where to start: "now" (if not given), "earliest", a cursor, or a time such as 2026-01-31T09:30:00Z
     */
    since?: string | undefined;
    /**
     * the bearer token, if the notifier asks for one
     */
    token?: string | undefined;
    /**
     * gives a token; asked again when the last one is no longer taken
     */
    getToken?: (() => string | Promise<string>) | undefined;
    /**
     * gives a one-time ticket, for every connection another
     */
    getTicket?: (() => string | Promise<string>) | undefined;
    /**
     * auto (if not given) takes server-sent events where WebSockets do not get through, and
     * looks now and then whether they do again: over HTTP/1.1 a browser opens six streams to one host, and the seventh page waits for ever
     */
    transport?: "auto" | "websocket" | "sse" | undefined;
    /**
     * keeps the cursor: a page that is loaded again goes on where it was. Take sessionStorage,
     * which each tab has for itself. With localStorage two tabs that watch the same would take each other's cursor: give each its own storageKey
     */
    storage?: (Pick<Storage, "getItem" | "setItem"> & Partial<Pick<Storage, "removeItem">>) | undefined;
    /**
     * the name it is kept under; made of what is watched if not given
     */
    storageKey?: string | undefined;
    /**
     * closes the watch
     */
    signal?: AbortSignal | undefined;
};
/**
 * an event of a task; docs/TOPICS.md has all members
 */
export type TaskEvent = {
    kind: "state" | "progress" | "output" | "usage" | "log" | "reset";
    event_id: string;
    task_id: string;
    user_id: string;
    status: "pending" | "running" | "completed" | "failed" | "timed_out" | "cancelled";
    attempt: number;
    /**
     * the task's name
     */
    task: string;
    message: string;
    time: string;
    /**
     * where to go on after this event
     */
    cursor: string;
    result?: any;
    error?: string | undefined;
    error_code?: string | undefined;
    progress?: {
        percent: number;
        current?: number;
        total?: number;
        unit?: string;
    } | undefined;
    /**
     * count pieces from index on, one if it is not there;
     * data are the events of the provider's own stream
     */
    output?: {
        index: number;
        text: string;
        count?: number;
        data?: any[];
    } | undefined;
    /**
     * one request's on a usage event, the task's total on its last one
     */
    usage?: Usage | undefined;
};
/**
 * what a model was asked for; input_tokens and output_tokens include everything, the others are parts of them
 */
export type Usage = {
    model: string;
    provider?: string | undefined;
    input_tokens: number;
    cached_tokens?: number | undefined;
    cache_write_tokens?: number | undefined;
    output_tokens: number;
    reasoning_tokens?: number | undefined;
    /**
     * in 1/1,000,000,000,000 US dollar; not there if it is unknown
     */
    cost_picodollars?: number | undefined;
    /**
     * the provider did not tell
     */
    estimated?: boolean | undefined;
};
/**
 * what a notifier says first on every connection
 */
export type Hello = {
    kind: "hello";
    /**
     * where the watch is
     */
    cursor: string;
    /**
     * whether nothing is missing since the cursor that was asked for
     */
    recovered: boolean;
    /**
     * why something may be missing
     */
    reason?: string | undefined;
};
/**
 * what listeners are told of
 */
export type WatchEvents = {
    /**
     * every event
     */
    event: TaskEvent;
    state: TaskEvent;
    progress: TaskEvent;
    output: TaskEvent;
    usage: TaskEvent;
    log: TaskEvent;
    /**
     * what the task has streamed so far is void: throw it away, another attempt begins
     */
    reset: TaskEvent;
    /**
     * a connection is there
     */
    open: Hello;
    /**
     * events are gone from the history, and why
     */
    gap: string;
    status: WatchState;
    /**
     * the end, with the reason if it was for good
     */
    close: WatchError | undefined;
};
export type WatchState = "connecting" | "open" | "waiting" | "resting" | "closed";
export type LinkRequest = {
    base: URL;
    query: URLSearchParams;
    token?: string;
};
export type LinkEnd = {
    code: number;
    reason: string;
};
export type LinkHandlers = {
    message: (text: string) => unknown;
    closed: (end: LinkEnd) => unknown;
};
