/* ImportCatalogue: an organiser's file, whole or not at all. */
#include "common/chassis/service.h"
#include "services/program/config.h"
#include "services/program/handlers/answer.h"
#include "services/program/publish/import.h"
#include "ticketflow/program/v1/program.server.h"

tf_code import_catalogue(tf_ctx *ctx, const ImportCatalogueRequest *request, ImportCatalogueResponse *response)
{
    struct import_result result;
    tf_code code;

    if (!request->document || request->document->data.len == 0)
        return tf_fail_field(ctx, "", "the body is empty: it must be a catalogue file");
    code = import_run(ctx, request->document->data.data, request->document->data.len, program_config.hold_floor_s,
                      request->validate_only, &result);
    if (code) return code;

    if (result.published) tf_bus_wake(tf_app_bus(ctx->app));
    response->objects = TF_NEW_ARRAY(ctx->arena, ImportedObject *, result.n);
    if (!response->objects) return answer_done(ctx);
    for (size_t i = 0; i < result.n; i++) {
        ImportedObject *object = tf_arena_alloc(ctx->arena, sizeof(*object));

        if (!object) return answer_done(ctx);
        *object = (ImportedObject)ImportedObject_init;
        object->kind = answer_text(result.objects[i].kind);
        object->ref = answer_text(result.objects[i].ref);
        object->id = result.objects[i].id;
        object->outcome = result.objects[i].outcome;
        response->objects[response->n_objects++] = object;
    }
    return TF_OK;
}
