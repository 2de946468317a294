/** The parts of Apache ECharts that the page uses. */
import { BarChart, CustomChart, LineChart } from 'echarts/charts';
import { AriaComponent, DataZoomComponent, GridComponent, LegendComponent, TooltipComponent } from 'echarts/components';
import { use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

use([
  ...[BarChart, CustomChart, LineChart],
  ...[AriaComponent, DataZoomComponent, GridComponent, LegendComponent, TooltipComponent],
  SVGRenderer,
]);

export type {
  CustomSeriesRenderItemAPI,
  CustomSeriesRenderItemParams,
  CustomSeriesRenderItemReturn,
  EChartsCoreOption,
} from 'echarts';
export { type ECharts, graphic, init } from 'echarts/core';
