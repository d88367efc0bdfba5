/**
 * How this host confines a tool that parses foreign bytes; findSandbox has tried it.
 * `root`: the tool runs as nobody. `user`: the worker is no root, and the tool keeps its user id in a user namespace.
 */
export interface Sandbox {
  kind: 'root' | 'user';
  /** The seccomp filter, as bwrap takes it. */
  filter: Buffer;
}
