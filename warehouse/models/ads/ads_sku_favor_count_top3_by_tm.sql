-- Grain: brand × rank 1 to 3. Key: tm_id, rk. A query view.
-- Inputs: favor_info, dim_sku, dim_test_user.
--
-- favor_count: favourites that stand now.
CREATE VIEW ads_sku_favor_count_top3_by_tm AS
SELECT * FROM (
  SELECT s.tm_id, s.tm_name, s.sku_id, s.sku_name, f.favor_count,
    row_number() OVER (PARTITION BY s.tm_id ORDER BY f.favor_count DESC, s.sku_id) AS rk
  FROM (
    SELECT f.sku_id, count(*) AS favor_count
    FROM favor_info AS f
    LEFT JOIN dim_test_user AS t ON t.user_id = f.user_id
    WHERE f.is_cancel NOT IN ('${favor_cancelled}') AND t.user_id IS NULL
    GROUP BY f.sku_id
  ) AS f
  JOIN dim_sku AS s ON s.sku_id = f.sku_id
) AS ranked
WHERE rk <= 3
