/** The environment of a child process: ours, with what the primary found out or made for it. */
export const childEnvironment = (additions: Readonly<Record<string, string>>): NodeJS.ProcessEnv => ({ ...process.env, ...additions });
