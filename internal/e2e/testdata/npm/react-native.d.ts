// What React Native has of the web, as far as docs/mobile.md needs it, and no
// more: its AbortSignal lacks any, timeout, reason and throwIfAborted.
interface AbortSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}
declare class AbortController {
  readonly signal: AbortSignal
  abort(): void
}
interface Response {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  json(): Promise<any>
}
declare function fetch(url: string, init: {
  method: string
  credentials: 'omit' | 'same-origin' | 'include'
  headers: Record<string, string>
  signal: AbortSignal
}): Promise<Response>
declare function setTimeout(run: () => void, milliseconds: number): number
declare function clearTimeout(timer: number): void
declare const performance: { now(): number }
