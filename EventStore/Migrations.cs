using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Npgsql;

namespace Platform.EventStore;

/// <summary>
/// Versioned migrations: SQL files embedded as <c>Migrations/NNNN_name.sql</c>, run once each, in order, in one transaction
/// each, under a lock; a file that changed after it ran is an error. In SQL, <c>{schema}</c>, <c>{app_role}</c> and
/// <c>{system_role}</c> stand for the schema and its roles.
/// </summary>
public static partial class Migrations
{
    // One at a time in a database, whatever the schema: grants and roles are shared catalogue rows.
    private const long Lock = 0x706c6174666f726d;

    /// <summary>Runs the event store's own migrations and then those of <paramref name="assembly"/>, as the owner.</summary>
    /// <param name="ownerConnection">Connects as the owner of the schema, which no running process uses.</param>
    /// <param name="lanes">Lanes of a new schema; an existing one keeps its own.</param>
    /// <param name="through">The last of <paramref name="assembly"/>'s files to run: a schema as it was then; all if absent.</param>
    /// <exception cref="InvalidOperationException">A file changed after it ran, or two files share a number.</exception>
    public static async Task Run(
        string ownerConnection, string schema, string applicationRole, string systemRole, Assembly? assembly,
        CancellationToken cancellation, short lanes = EventStoreOptions.DefaultLanes, int? through = null)
    {
        foreach (var identifier in (string[])[schema, applicationRole, systemRole])
            Database.RequireIdentifier(identifier);

        // Not from a pool: the session lock must end with this connection, whatever happens.
        await using var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(ownerConnection) { Pooling = false }.ConnectionString);
        await connection.OpenAsync(cancellation);
        await Execute(connection, $"select pg_advisory_lock({Lock})", cancellation);
        await Execute(
            connection,
            $"""
            create schema if not exists {schema};
            create table if not exists {schema}.migrations (
                source text not null,
                number integer not null,
                name text not null,
                sha256 text not null,
                run_at timestamptz not null default clock_timestamp(),
                primary key (source, number)
            )
            """,
            cancellation);

        foreach (var source in new[] { typeof(Migrations).Assembly, assembly }.OfType<Assembly>().Distinct())
        {
            foreach (var migration in Of(source).Where(it => source != assembly || !(it.Number > through)))
            {
                var sql = migration.Sql
                    .Replace("{schema}", schema, StringComparison.Ordinal)
                    .Replace("{app_role}", applicationRole, StringComparison.Ordinal)
                    .Replace("{system_role}", systemRole, StringComparison.Ordinal)
                    .Replace("{lanes}", $"{lanes}", StringComparison.Ordinal);
                await RunOnce(connection, schema, migration, sql, cancellation);
            }
        }
    }

    private static async Task RunOnce(
        NpgsqlConnection connection, string schema, Migration migration, string sql, CancellationToken cancellation)
    {
        await using var known = new NpgsqlCommand(
            $"select sha256 from {schema}.migrations where source = $1 and number = $2", connection)
        {
            Parameters = { new() { Value = migration.Source }, new() { Value = migration.Number } },
        };
        switch (await known.ExecuteScalarAsync(cancellation))
        {
            case string sha256 when sha256 == migration.Sha256:
                return;
            case string:
                throw new InvalidOperationException(
                    $"Migration {migration.Source} {migration.Name} changed after it ran. Write a new one instead.");
        }

        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await Execute(connection, sql, cancellation);
        await using var record = new NpgsqlCommand(
            $"insert into {schema}.migrations (source, number, name, sha256) values ($1, $2, $3, $4)", connection)
        {
            Parameters =
            {
                new() { Value = migration.Source },
                new() { Value = migration.Number },
                new() { Value = migration.Name },
                new() { Value = migration.Sha256 },
            },
        };
        await record.ExecuteNonQueryAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    private static List<Migration> Of(Assembly assembly)
    {
        var source = assembly.GetName().Name!;
        var migrations = assembly.GetManifestResourceNames()
            .Select(resource => (Resource: resource, Match: FileName().Match(resource)))
            .Where(file => file.Match.Success)
            .Select(file => Migration.Read(source, int.Parse(file.Match.Groups["number"].ValueSpan), file.Match.Groups["name"].Value,
                assembly.GetManifestResourceStream(file.Resource)!))
            .OrderBy(migration => migration.Number)
            .ToList();

        return migrations.CountBy(migration => migration.Number).FirstOrDefault(number => number.Value > 1) is { Value: > 1 } twice
            ? throw new InvalidOperationException($"Two migrations of {source} have the number {twice.Key:0000}.")
            : migrations;
    }

    private static async Task Execute(NpgsqlConnection connection, string sql, CancellationToken cancellation)
    {
        // Migrations may wait long for a lock or rewrite a large table.
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellation);
    }

    [GeneratedRegex(@"\.Migrations\.(?<number>\d{4})_(?<name>\w+)\.sql$")]
    private static partial Regex FileName();

    private sealed record Migration(string Source, int Number, string Name, string Sql, string Sha256)
    {
        public static Migration Read(string source, int number, string name, Stream file)
        {
            using var reader = new StreamReader(file);
            var sql = reader.ReadToEnd().ReplaceLineEndings("\n");
            return new(source, number, name, sql, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(sql))));
        }
    }
}
