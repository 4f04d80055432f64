/**
 * What is known of the fleet, and how each event changes it. It knows no DOM.
 */

import { STATES, worries } from "./words.js";

const LINES = 200;
const RANK = Object.fromEntries(Object.keys(STATES).map((state, rank) => [state, rank]));

/** Words for a search, lower case: all of them must stand in a service's name, address or group. */
const wanted = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

export class Fleet {
  head = null; // {name, state, sentence, monitoring, counts, next_check_at, trouble}; null: nothing heard yet
  services = new Map(); // name -> service, in the order of the fleet file
  incidents = new Map(); // id -> open incident, oldest first
  lines = []; // of the activity log, oldest first

  /** Take one event; says what of the page has to be drawn again. */
  take(event, data) {
    switch (event) {
      case "snapshot": {
        const { services, incidents, log, ...head } = data;
        this.head = head;
        this.services = new Map(services.map((service) => [service.name, service]));
        this.incidents = new Map(incidents.map((incident) => [incident.id, incident]));
        this.lines = log.slice(-LINES);
        return { all: true };
      }
      case "service":
        // One that came with a reloaded fleet file is told by a new snapshot, never by this.
        if (!this.services.has(data.name)) return {};
        this.services.set(data.name, data);
        return { service: data.name };
      case "incident":
        if (data.closed_at) this.incidents.delete(data.id);
        else this.incidents.set(data.id, data);
        return { incidents: true };
      case "log":
        this.lines.push(...data.items);
        this.lines.splice(0, this.lines.length - LINES);
        return { lines: data.items, skipped: data.skipped };
      case "fleet":
        this.head = data;
        return { head: true };
      default:
        return {};
    }
  }

  /** The same as a `snapshot` event, for another tab. */
  snapshot() {
    return {
      ...this.head,
      services: [...this.services.values()],
      incidents: [...this.incidents.values()],
      log: this.lines,
    };
  }

  /** When the next look of any service is due, ms; null while stopped or not known. */
  nextLook() {
    if (!this.head?.monitoring) return null;
    let next = Infinity;
    for (const { next_check_at } of this.services.values()) if (next_check_at) next = Math.min(next, Date.parse(next_check_at));
    return next < Infinity ? next : null;
  }

  /**
   * The cards in order: [{key, heading, services}]. First what is not as it should be, worst first; then by group.
   *
   * filter: {text, state}; state null for all.
   */
  sections({ text = "", state = null } = {}) {
    const words = wanted(text);
    const worrying = [];
    const groups = new Map();
    for (const service of this.services.values()) {
      if (state && service.state !== state) continue;
      const about = words.length ? `${service.title} ${service.name} ${service.url} ${service.group ?? ""}`.toLowerCase() : "";
      if (!words.every((word) => about.includes(word))) continue;
      if (worries(service.state)) worrying.push(service);
      else {
        const group = service.group ?? "";
        if (!groups.has(group)) groups.set(group, []);
        groups.get(group).push(service);
      }
    }
    worrying.sort((one, other) => RANK[one.state] - RANK[other.state]);
    const hasGroups = groups.size > 1 || (groups.size === 1 && !groups.has(""));
    const sections = [...groups].map(([group, services]) => ({
      key: `group ${group}`,
      heading: hasGroups ? group || "Others" : null,
      services,
    }));
    if (worrying.length) sections.unshift({ key: "worrying", heading: null, services: worrying });
    return sections;
  }
}
