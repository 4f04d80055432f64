/**
 * Brings what was written to the server: one message after the other, each until the server has it, never twice.
 *
 * A message keeps its id through every try, so a try whose answer was lost is simply repeated. Of several tabs one delivers
 * (Web Locks); should two do it after all, the ids keep it to once.
 */

import { Refusal, server } from "./server.js";

const FIRST_MS = 1000;
const MOST_MS = 30_000;
const BUSY_MS = 5000;
const SERVER_ERRORS = 3; // a server that fails at a message itself is not asked for ever

const exclusively = (work) => (navigator.locks ? navigator.locks.request("chatify.delivery", work) : work());

/** Growing and jittered, so that many pages do not come back at the same moment. */
export const growing_ms = (tries) => Math.min(MOST_MS, FIRST_MS * 2 ** tries) * (0.5 + Math.random() / 2);

/**
 * What a failed call means: { kind, wait_ms } to come again, or null when coming again is no use.
 * kind: "sign_in", "busy", "unreachable".   wait_ms: null = when the person has acted.
 */
export function troubleOf(error, tries) {
  if (!(error instanceof Refusal)) return { kind: "unreachable", wait_ms: growing_ms(tries) };
  if (error.problem.message_id) return null; // the message's own, final outcome
  if (error.status === 401) return { kind: "sign_in", wait_ms: null };
  if (error.status === 429) return { kind: "busy", wait_ms: error.retryAfter_ms ?? BUSY_MS };
  if ([502, 503, 504].includes(error.status)) return { kind: "unreachable", wait_ms: error.retryAfter_ms ?? growing_ms(tries) };
  if (error.status >= 500 && tries < SERVER_ERRORS) return { kind: "unreachable", wait_ms: growing_ms(tries) };
  return null;
}

/**
 * next: () => the oldest turn that only this browser has, or undefined.   session: async () => id of the session.
 * delivered(): the server takes messages.   taken(id, body): the server has it, body as it answered, perhaps much later.   refused(id, problem).   troubled(trouble): it comes again later.
 */
export function makeDelivery({ next, session, delivered, taken, refused, troubled }) {
  let isRunning = false;
  let tries = 0;
  let leftHome = null; // resolves the wait for the message on its way, when it is heard of in another way

  async function deliver(turn) {
    const id = await session();
    if (next()?.id !== turn.id) return; // another conversation was begun meanwhile
    const posted = server.send(id, turn.id, turn.text).then((body) => taken(turn.id, body));
    const heardOf = new Promise((resolve) => {
      leftHome = () => next()?.id !== turn.id && resolve();
    });
    // The answer to the POST may take as long as the reply; the next message need not wait for that.
    await Promise.race([posted, heardOf]);
    posted.catch((error) => {
      if (error instanceof Refusal && error.problem.message_id) refused(turn.id, error.problem);
    });
    tries = 0;
    delivered();
  }

  async function run() {
    for (let turn = next(); turn; turn = next()) {
      try {
        await deliver(turn);
      } catch (error) {
        const trouble = troubleOf(error, tries++);
        if (trouble) return troubled(trouble);
        tries = 0;
        const canRetry = error.status >= 500 && !error.problem.message_id;
        refused(turn.id, { ...error.problem, retry: canRetry });
      }
    }
  }

  return {
    /** Deliver what waits; does nothing while it is being done. */
    async start() {
      if (isRunning || !next()) return;
      isRunning = true;
      try {
        await exclusively(run);
      } finally {
        isRunning = false;
      }
    },
    /** Something changed: perhaps the message on its way is known to have arrived. */
    look: () => leftHome?.(),
  };
}
