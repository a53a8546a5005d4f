using System.Runtime.CompilerServices;
using Platform.Billing.Tests.Http;
using Platform.Contracts;

namespace Platform.Billing.Tests.Migrations;

/// <summary>
/// Billing on a database that an older version filled: its migrations up to one of them, and the rows that the version of that time wrote,
/// as they lie beside this file.
/// </summary>
/// <param name="through">The number of the last migration that it knew.</param>
/// <param name="tenant">Whose rows they are.</param>
public abstract class OldDatabase(int through, string tenant) : BillingHost
{
    public TenantId Tenant { get; } = new(Guid.Parse(tenant));

    /// <summary>What the rows' credit note took back of tax.</summary>
    public virtual decimal CreditedTax => 0.19m;

    protected override async Task Prepare()
    {
        await EventStore.Migrations.Run(
            OwnerConnection, BillingDatabase.Schema, BillingDatabase.ApplicationRole, BillingDatabase.SystemRole, typeof(Program).Assembly,
            Cancellation, through: through);
        await Execute(await File.ReadAllTextAsync(Path.Combine(Folder(), $"{through:0000}.sql"), Cancellation));
    }

    private static string Folder([CallerFilePath] string file = "") => Path.GetDirectoryName(file)!;
}

/// <summary>Before usage was bound by the hour: trees are in the order of the ledger.</summary>
public sealed class DatabaseOf0120() : OldDatabase(through: 120, tenant: "019b3ba1-8600-7d6f-be23-7259ab54f937");

/// <summary>Before credit notes took back tax and payments had targets: some events have other shapes, and views come from them.</summary>
public sealed class DatabaseOf0080() : OldDatabase(through: 80, tenant: "019b3ba1-8600-76cd-a83d-94aeb7101831")
{
    public override decimal CreditedTax => 0;

    protected override IReadOnlyList<string[]> Verbs => [["migrate"], ["rebuild", "all"]];
}
