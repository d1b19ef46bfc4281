-- Grain: business day × metric. Key: day, metric. A query view.
-- Inputs: ads_live_day, ads_order_day_result.
--
-- What `sluice close` freezes: every figure that is reported of a day, as one row.
-- value: as it stands now. A figure that is added here is closed from then on.
CREATE VIEW ads_report_figure AS
SELECT day, metric, CAST(value AS DECIMAL(24, 4)) AS value
FROM (
  SELECT day, 'gmv_gross' AS metric, CAST(gmv_gross AS DECIMAL(24, 4)) AS value FROM ads_live_day
  UNION ALL SELECT day, 'gmv_unpaid', gmv_unpaid FROM ads_live_day
  UNION ALL SELECT day, 'gmv_cancelled', gmv_cancelled FROM ads_live_day
  UNION ALL SELECT day, 'gmv_paid', gmv_paid FROM ads_live_day
  UNION ALL SELECT day, 'gmv_refunded', gmv_refunded FROM ads_live_day
  UNION ALL SELECT day, 'gmv_net', gmv_net FROM ads_live_day
  UNION ALL SELECT day, 'freight', freight FROM ads_live_day
  UNION ALL SELECT day, 'orders', orders FROM ads_live_day
  UNION ALL SELECT day, 'order_users', order_users FROM ads_live_day
  UNION ALL SELECT day, 'paid_orders', paid_orders FROM ads_live_day
  UNION ALL SELECT day, 'pv', pv FROM ads_live_day
  UNION ALL SELECT day, 'uv', uv FROM ads_live_day
  UNION ALL SELECT day, 'sessions', sessions FROM ads_live_day
  UNION ALL SELECT day, 'refunded_of_orders', refunded_of_orders FROM ads_order_day_result
  UNION ALL SELECT day, 'net_of_orders', net_of_orders FROM ads_order_day_result
) AS figures
