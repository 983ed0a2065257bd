// The vendored libraries, named once with their versions. vendored.json says where each is from.
import { h } from "./preact-11.2.0.js";
import htm from "./htm-3.1.1.js";

export { Fragment, render } from "./preact-11.2.0.js";
export { useCallback, useEffect, useId, useLayoutEffect, useRef, useState } from "./preact-hooks-11.2.0.js";
export * as oauth from "./oauth4webapi-3.8.8.js";
export { default as uPlot } from "./uplot-1.6.32.js";
export const html = htm.bind(h);
