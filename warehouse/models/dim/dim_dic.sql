-- Grain: code of the shop. Key: dic_code. A query view.
-- Inputs: base_dic.
--
-- As codes are called now; dim_dic_history has what they were called. parent_name: of
-- the code above it, which says what kind of code it is.
CREATE VIEW dim_dic AS
SELECT d.dic_code, d.dic_name, d.parent_code, p.dic_name AS parent_name
FROM base_dic AS d
LEFT JOIN base_dic AS p ON p.dic_code = d.parent_code
