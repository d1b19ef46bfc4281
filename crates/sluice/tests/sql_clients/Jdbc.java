import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.TreeMap;
import java.util.TreeSet;

/** The PostgreSQL JDBC driver against a warehouse, as DBeaver and Metabase use it. */
class Jdbc {
    static void same(Object found, Object expected) {
        if (!expected.equals(found)) {
            throw new AssertionError(found + " is not " + expected);
        }
    }

    /** The values of a column. */
    static TreeSet<String> all(ResultSet rows, String column) throws SQLException {
        TreeSet<String> values = new TreeSet<>();
        try (rows) {
            while (rows.next()) {
                values.add(rows.getString(column));
            }
        }
        return values;
    }

    /** Everything that tools ask of the catalog when they draw their tree. */
    static void describe(DatabaseMetaData about) throws SQLException {
        TreeSet<String> nothing = new TreeSet<>();
        TreeSet<String> types = all(about.getTypeInfo(), "TYPE_NAME");
        same(types.contains("int8") && types.contains("numeric") && types.contains("timestamptz"), true);
        same(all(about.getPrimaryKeys(null, "public", "item"), "COLUMN_NAME"), nothing);
        same(all(about.getIndexInfo(null, "public", "item", false, true), "INDEX_NAME"), nothing);
        same(all(about.getImportedKeys(null, "public", "item"), "FK_NAME"), nothing);
        same(all(about.getExportedKeys(null, "public", "item"), "FK_NAME"), nothing);
        same(all(about.getCrossReference(null, "public", "item", null, "public", "by_day"), "FK_NAME"), nothing);
        same(all(about.getFunctions(null, "public", "%"), "FUNCTION_NAME"), nothing);
        same(all(about.getProcedures(null, "public", "%"), "PROCEDURE_NAME"), nothing);
        same(all(about.getFunctions(null, "pg_catalog", "lower"), "FUNCTION_NAME").contains("lower"), true);
        // Where nothing is granted the driver names all that owners may do in PostgreSQL.
        same(all(about.getTablePrivileges(null, "public", "item"), "PRIVILEGE").contains("SELECT"), true);
        same(all(about.getColumnPrivileges(null, "public", "item", "id"), "PRIVILEGE").contains("SELECT"), true);
        same(all(about.getCatalogs(), "TABLE_CAT").contains("sluice"), true);
        same(all(about.getTableTypes(), "TABLE_TYPE").contains("VIEW"), true);
        same(all(about.getBestRowIdentifier(null, "public", "item", DatabaseMetaData.bestRowSession, true), "COLUMN_NAME"), nothing);
        same(all(about.getUDTs(null, "public", "%", null), "TYPE_NAME"), nothing);
        same(all(about.getTables(null, "public", "%", new String[] {"VIEW"}), "TABLE_NAME").contains("new_items"), true);
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = DriverManager.getConnection(arguments[0])) {
            DatabaseMetaData about = connection.getMetaData();
            same(about.getDatabaseProductName(), "PostgreSQL");
            TreeSet<String> schemas = new TreeSet<>();
            try (ResultSet rows = about.getSchemas()) {
                while (rows.next()) {
                    schemas.add(rows.getString("TABLE_SCHEM"));
                }
            }
            same(schemas.contains("public"), true);
            TreeSet<String> tables = new TreeSet<>();
            try (ResultSet rows = about.getTables(null, "public", "%", null)) {
                while (rows.next()) {
                    tables.add(rows.getString("TABLE_NAME"));
                }
            }
            same(tables.contains("item") && tables.contains("by_day") && tables.contains("new_items"), true);
            TreeMap<String, Integer> columns = new TreeMap<>();
            try (ResultSet rows = about.getColumns(null, "public", "item", "%")) {
                while (rows.next()) {
                    String column = rows.getString("COLUMN_NAME");
                    columns.put(column, rows.getInt("DATA_TYPE"));
                    if (column.equals("price")) {
                        same(rows.getInt("COLUMN_SIZE"), 18);
                        same(rows.getInt("DECIMAL_DIGITS"), 2);
                    }
                    if (column.equals("name")) {
                        same(rows.getString("REMARKS"), "Name on the label");
                    }
                }
            }
            describe(about);
            same(columns.get("id"), Types.BIGINT);
            same(columns.get("name"), Types.VARCHAR);
            same(columns.get("price"), Types.NUMERIC);
            same(columns.get("sold_on"), Types.DATE);
            same(columns.get("sold_at"), Types.TIMESTAMP);
            same(columns.get("is_new"), Types.BIT);
            same(columns.get("weight"), Types.DOUBLE);
            String text = "SELECT id, price, name, sold_on, sold_at, is_new FROM item WHERE id = ? AND price > ?";
            try (PreparedStatement statement = connection.prepareStatement(text)) {
                // Beyond the driver's threshold it prepares by name and reads binary.
                for (int number = 1; number < 20; number += 2) {
                    statement.setLong(1, number);
                    statement.setBigDecimal(2, new BigDecimal("0.01"));
                    try (ResultSet rows = statement.executeQuery()) {
                        same(rows.next(), true);
                        same(rows.getLong(1), (long) number);
                        same(rows.getBigDecimal(2), new BigDecimal("10.50").add(new BigDecimal(number - 1)));
                        same(rows.getString(3), "name " + number);
                        same(rows.getDate(4).toString(), "2026-11-01");
                        same(rows.getTimestamp(5).getTime(), 1793491200000L);
                        same(rows.getBoolean(6), true);
                        same(rows.next(), false);
                    }
                }
            }
            connection.setReadOnly(true);
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(100);
                int count = 0;
                try (ResultSet rows = statement.executeQuery("SELECT id FROM item ORDER BY id")) {
                    while (rows.next()) {
                        count += 1;
                        same(rows.getInt(1), count);
                    }
                }
                same(count, 1000);
                statement.setMaxRows(10);
                try (ResultSet rows = statement.executeQuery("SELECT id FROM item")) {
                    int few = 0;
                    while (rows.next()) {
                        few += 1;
                    }
                    same(few, 10);
                }
            }
            connection.commit();
            connection.setAutoCommit(true);
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                statement.executeQuery(arguments[1]);
                throw new AssertionError("a query ends when its time is over");
            } catch (SQLException problem) {
                same(problem.getSQLState(), "57014");
            }
            same(connection.isValid(5), true);
        }
        System.out.println("done");
    }
}
