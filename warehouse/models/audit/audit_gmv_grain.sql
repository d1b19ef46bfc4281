-- Must be empty: days whose gross is not the same at every grain. A query view.
-- Inputs: ads_live_day, ads_live_minute, ads_live_channel_day,
-- ads_live_province_day, ads_live_sku_day, dws_trade_order_window,
-- dws_trade_province_order_window,
-- dws_trade_trademark_category_user_spu_order_window, dws_trade_sku_event_window,
-- dws_user_day.
CREATE VIEW audit_gmv_grain AS
SELECT d.day, p.grain, d.gmv_gross, p.gmv_gross AS gmv_gross_of_grain
FROM ads_live_day AS d
JOIN (
  SELECT day, 'minute' AS grain, sum(gmv_gross) AS gmv_gross FROM ads_live_minute GROUP BY day
  UNION ALL SELECT day, 'channel', sum(gmv_gross) FROM ads_live_channel_day GROUP BY day
  UNION ALL SELECT day, 'province', sum(gmv_gross) FROM ads_live_province_day GROUP BY day
  UNION ALL SELECT day, 'sku', sum(gmv_gross) FROM ads_live_sku_day GROUP BY day
  UNION ALL SELECT cur_date, 'window', sum(gmv_gross) FROM dws_trade_order_window GROUP BY cur_date
  UNION ALL SELECT cur_date, 'province window', sum(order_amount) FROM dws_trade_province_order_window GROUP BY cur_date
  UNION ALL SELECT cur_date, 'brand window', sum(order_amount)
    FROM dws_trade_trademark_category_user_spu_order_window GROUP BY cur_date
  UNION ALL SELECT CAST(stt AT TIME ZONE '${time_zone}' AS DATE), 'sku window', sum(order_amount)
    FROM dws_trade_sku_event_window GROUP BY 1
  UNION ALL SELECT day, 'member', sum(order_amount) FROM dws_user_day GROUP BY day
) AS p ON p.day = d.day
WHERE d.gmv_gross <> p.gmv_gross
