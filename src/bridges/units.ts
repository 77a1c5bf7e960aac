/**
 * Units by the many names that devices give them. Two units of the same dimension convert into each other:
 * `value × factor + offset` of each leads to the dimension's base.
 */
interface Unit {
  readonly dimension: string;
  readonly factor: number;
  readonly offset: number;
}

type Row = readonly [names: string, factor: number, offset?: number];

const DIMENSIONS: Readonly<Record<string, readonly Row[]>> = {
  temperature: [
    ['°C|C|℃|degC|celsius|degrees celsius|Cel|grad C', 1],
    ['°F|F|℉|degF|fahrenheit|degrees fahrenheit', 5 / 9, (-32 * 5) / 9],
    ['K|kelvin|degK|°K', 1, -273.15],
  ],
  pressure: [
    ['Pa|pascal', 1],
    ['hPa|mbar|mb|millibar|hectopascal', 100],
    ['kPa|kilopascal', 1000],
    ['bar', 100_000],
    ['MPa', 1_000_000],
    ['mmHg|torr', 133.322_387_415],
    ['inHg|in Hg|"Hg', 3386.389],
    ['psi', 6894.757_293_168],
    ['atm', 101_325],
  ],
  speed: [
    ['m/s|mps|ms-1|m s-1|m.s-1', 1],
    ['km/h|kmh|kph|km/hr', 1 / 3.6],
    ['mph|mi/h', 0.447_04],
    ['kn|kt|kts|knots|knot', 1852 / 3600],
    ['ft/s|fps', 0.3048],
    ['yd/s', 0.9144],
  ],
  energy: [
    ['J|joule', 1],
    ['kJ', 1000],
    ['MJ', 1e6],
    ['Wh|watt hours', 3600],
    ['kWh|kilowatt hours', 3.6e6],
    ['MWh', 3.6e9],
    ['Wmin|Wm|watt-minute', 60],
  ],
  power: [
    ['mW', 1e-3],
    ['W|watt|watts', 1],
    ['kW|kilowatt', 1000],
    ['MW', 1e6],
  ],
  'apparent power': [
    ['VA', 1],
    ['kVA', 1000],
  ],
  'reactive power': [
    ['var|VAR', 1],
    ['kvar|kVAR', 1000],
  ],
  voltage: [
    ['µV|uV', 1e-6],
    ['mV|millivolt|millivolts', 1e-3],
    ['V|volt|volts', 1],
    ['kV', 1000],
  ],
  current: [
    ['µA|uA', 1e-6],
    ['mA|milliampere', 1e-3],
    ['A|amp|amps|ampere', 1],
  ],
  length: [
    ['mm|millimeter|millimetre', 1e-3],
    ['cm|centimeter|centimetre', 1e-2],
    ['m|meter|metre', 1],
    ['km', 1000],
    ['in|inch|inches|"', 0.0254],
    ['ft|foot|feet', 0.3048],
    ['mi|mile|miles', 1609.344],
  ],
  volume: [
    ['mL|ml', 1e-6],
    ['L|l|liter|litre|liters|litres', 1e-3],
    ['m³|m3', 1],
    ['gal|gallon|gallons', 0.003_785_411_784],
    ['ft³|ft3|CCF/100', 0.028_316_846_592],
  ],
  'volume flow': [
    ['L/min|l/min|lpm', 1 / 60_000],
    ['L/h|l/h', 1 / 3_600_000],
    ['L/s|l/s', 1e-3],
    ['m³/h|m3/h', 1 / 3600],
    ['m³/s|m3/s', 1],
    ['gal/min|gpm', 0.003_785_411_784 / 60],
  ],
  mass: [
    ['mg', 1e-6],
    ['g|gram|grams', 1e-3],
    ['kg|kilogram', 1],
    ['t|tonne', 1000],
    ['lb|lbs|pound', 0.453_592_37],
    ['oz|ounce', 0.028_349_523_125],
  ],
  ratio: [
    ['1', 1],
    ['%|percent|pct|%RH|RH%|%rH', 0.01],
    ['‰', 0.001],
    ['ppm', 1e-6],
    ['ppb', 1e-9],
  ],
  density: [
    ['µg/m³|ug/m3|µg/m3|μg/m³|μg/m3|ug/m³', 1e-9],
    ['mg/m³|mg/m3', 1e-6],
    ['g/m³|g/m3', 1e-3],
    ['kg/m³|kg/m3', 1],
  ],
  time: [
    ['ms|millisecond|milliseconds', 1e-3],
    ['s|sec|second|seconds', 1],
    ['min|minute|minutes', 60],
    ['h|hr|hour|hours', 3600],
    ['d|day|days', 86_400],
  ],
  frequency: [
    ['Hz|hertz', 1],
    ['kHz', 1000],
    ['MHz', 1e6],
    ['rpm', 1 / 60],
  ],
  illuminance: [
    ['lx|lux', 1],
    ['klx', 1000],
    ['fc', 10.763_910_4],
  ],
  irradiance: [
    ['W/m²|W/m2', 1],
    ['kW/m²|kW/m2', 1000],
  ],
  conductivity: [
    ['µS/cm|uS/cm|μS/cm', 1e-4],
    ['mS/cm', 0.1],
    ['S/m', 1],
  ],
  angle: [
    ['°|deg|degree|degrees', 1],
    ['rad', 180 / Math.PI],
  ],
  'signal strength': [['dBm', 1]],
  level: [['dB', 1]],
};

const byName = new Map<string, Unit>();
const folded = new Map<string, Unit | undefined>();
for (const [dimension, rows] of Object.entries(DIMENSIONS)) {
  for (const [names, factor, offset = 0] of rows) {
    for (const name of names.split('|')) {
      const unit: Unit = { dimension, factor, offset };
      byName.set(name, unit);
      const key = fold(name);
      const same = folded.get(key);
      // MW and mW differ in case only: without the right case neither is meant.
      folded.set(key, folded.has(key) && !alike(same, unit) ? undefined : unit);
    }
  }
}

/** The dimension of a unit (`temperature`, `pressure` …), or undefined for a unit that is not known. */
export function dimensionOf(unit: string): string | undefined {
  return find(unit)?.dimension;
}

/**
 * What turns a number in `from` into one in `to`, or undefined where one is not known or they do not belong together.
 * Equal names convert even where nobody knows them.
 */
export function converter(from: string, to: string): ((value: number) => number) | undefined {
  if (from.trim() === to.trim()) return (value) => value;
  const source = find(from);
  const target = find(to);
  if (source === undefined || target === undefined || source.dimension !== target.dimension) return undefined;
  if (source.offset === 0 && target.offset === 0) {
    // A division by a whole number keeps 1013.25 hPa what it is, where 0.01 would not.
    const inverse = target.factor / source.factor;
    if (Number.isInteger(inverse)) return (value) => value / inverse;
    const factor = source.factor / target.factor;
    return (value) => value * factor;
  }
  return (value) => tidy((value * source.factor + source.offset - target.offset) / target.factor);
}

/** 68 °F are 20 °C and not 20.000000000000004: twelve digits are more than any sensor has. */
function tidy(value: number): number {
  return Number.isFinite(value) ? Number(value.toPrecision(12)) : value;
}

function find(name: string): Unit | undefined {
  const trimmed = name.trim();
  return byName.get(trimmed) ?? folded.get(fold(trimmed));
}

function fold(name: string): string {
  return name.toLowerCase().replaceAll(/[\s_]+/g, '');
}

function alike(a: Unit | undefined, b: Unit): boolean {
  return a !== undefined && a.dimension === b.dimension && a.factor === b.factor && a.offset === b.offset;
}
