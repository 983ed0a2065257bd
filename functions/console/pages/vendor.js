// The vendored libraries that every page needs, with their versions; chart.js names uPlot. See vendored.json.
import { h } from "./preact-11.2.0.js";
import htm from "./htm-3.1.1.js";

export { Fragment, render } from "./preact-11.2.0.js";
export { useCallback, useEffect, useId, useLayoutEffect, useRef, useState } from "./preact-hooks-11.2.0.js";
export * as oauth from "./oauth4webapi-3.8.8.js";
export const html = htm.bind(h);
