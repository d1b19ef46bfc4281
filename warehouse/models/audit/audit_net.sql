-- Must be empty: windows and days whose net is not paid minus refunded, and days
-- whose money is not the sum of their windows or minutes. A query view.
-- Inputs: ads_live_day, ads_live_minute, dws_trade_order_window.
CREATE VIEW audit_net AS
SELECT d.day, d.gmv_paid, d.gmv_refunded, d.gmv_net, m.gmv_net AS net_of_minutes, w.gmv_net AS net_of_windows
FROM ads_live_day AS d
LEFT JOIN (SELECT day, sum(gmv_net) AS gmv_net FROM ads_live_minute GROUP BY day) AS m ON m.day = d.day
LEFT JOIN (
  SELECT cur_date AS day, sum(gmv_net) AS gmv_net, sum(gmv_paid) AS gmv_paid, sum(gmv_refunded) AS gmv_refunded
  FROM dws_trade_order_window GROUP BY cur_date
) AS w ON w.day = d.day
WHERE d.gmv_net <> d.gmv_paid - d.gmv_refunded
  OR d.gmv_net <> coalesce(m.gmv_net, 0)
  OR d.gmv_net <> coalesce(w.gmv_net, 0)
  OR d.gmv_paid <> coalesce(w.gmv_paid, 0)
  OR d.gmv_refunded <> coalesce(w.gmv_refunded, 0)
