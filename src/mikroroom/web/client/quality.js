/**
 * How good a connection is, told from two looks at its counters.
 *
 * @typedef {"unknown" | "good" | "fair" | "poor"} Quality
 * @typedef {{received?: number, lost?: number}} Counters
 */

/** Up to these a connection is good, or fair: seconds to the other and back, and the share of packets lost. */
const GOOD = { rtt: 0.25, loss: 0.02 };
const FAIR = { rtt: 0.6, loss: 0.08 };

/**
 * @param {RTCStatsReport} report
 * @param {Counters} before
 * @returns {{quality: Quality, counters: Counters}}
 */
export function qualityOf(report, before) {
  let rtt = 0;
  let received = 0;
  let lost = 0;
  report.forEach((/** @type {any} */ stats) => {
    if (stats.type === "candidate-pair" && stats.nominated && stats.state === "succeeded") {
      rtt = Math.max(rtt, stats.currentRoundTripTime ?? 0);
    } else if (stats.type === "inbound-rtp") {
      received += stats.packetsReceived ?? 0;
      lost += stats.packetsLost ?? 0;
    }
  });
  const newlyReceived = received - (before.received ?? 0);
  const newlyLost = Math.max(0, lost - (before.lost ?? 0));
  const loss = newlyLost / Math.max(1, newlyReceived + newlyLost);
  const is = (/** @type {typeof GOOD} */ bound) => rtt <= bound.rtt && loss <= bound.loss;
  const quality = is(GOOD) ? "good" : is(FAIR) ? "fair" : "poor";
  return { quality: before.received === undefined ? "unknown" : quality, counters: { received, lost } };
}
