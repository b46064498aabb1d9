// npm's pg as this folder installs it, for scripts elsewhere.
export { default } from "pg";
