export { type Location, locationText, placeOf, Source } from "./source.ts";
