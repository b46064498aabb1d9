import { parseArgs } from "node:util";

/** What `settingsOf` makes of the command line. Wrong usage ends in one line and exit status 2. */
export function settingsFrom(options, settingsOf) {
  try {
    return settingsOf(parseArgs({ options }).values);
  } catch (error) {
    console.error(`${error.message.split(". ")[0]}; ./run help lists what there is`);
    process.exit(2);
  }
}
