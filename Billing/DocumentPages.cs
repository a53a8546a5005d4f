using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing;

/// <summary>How lists of documents answer.</summary>
internal static class DocumentPages
{
    extension(Documents documents)
    {
        /// <summary>A page of a tenant's documents as they are stored.</summary>
        /// <param name="where">An SQL condition over <c>id</c> and <c>data</c> with the given parameters; constant text only.</param>
        public Task<Ok<Page<TView>>> PageOf<TView>(
            TenantId tenant, string table, PageQuery page, bool newestFirst, CancellationToken cancellation, string? where = null,
            params NpgsqlParameter[] parameters) where TView : class =>
            documents.PageOf<TView, TView>(tenant, table, page, newestFirst, view => view, cancellation, where, parameters);

        /// <summary>A page of a tenant's documents of which people see less or more than is stored.</summary>
        public async Task<Ok<Page<TShown>>> PageOf<TStored, TShown>(
            TenantId tenant, string table, PageQuery page, bool newestFirst, Func<TStored, TShown> show, CancellationToken cancellation,
            string? where = null, params NpgsqlParameter[] parameters) where TStored : class
        {
            var rows = await documents.List(
                tenant.Value, table, Stored.Json<TStored>(), page.Size + 1, page.After, newestFirst, cancellation, where, parameters);
            var found = page.Of(rows, row => row.Id);
            return TypedResults.Ok(new Page<TShown>([.. found.Items.Select(row => show(row.View))], found.NextCursor));
        }
    }
}
